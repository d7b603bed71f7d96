#include "methods/cascade/policy.hpp"

#include "methods/cascade/chain_grid.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace leeway::cascade {
namespace {

/// Models of rising quality and cost; a model's confidence tells something about its answer.
Labelled drawn(std::size_t rows, std::vector<double> quality, std::uint64_t seed,
               double informative = 3, bool with_ties = false) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    Labelled out;
    std::vector<double> hard(rows);
    for (double& h : hard) h = normal(random);
    double cost = 1e-5;
    for (const double q : quality) {
        LabelledModel model;
        for (std::size_t row = 0; row < rows; ++row) {
            const double ability = 2 * (q - 0.5) * 2 - hard[row] + normal(random);
            model.quality.push_back(ability > 0 ? 1 : 0);
            const double noisy = ability * informative + normal(random) * 2;
            model.score.push_back({with_ties ? std::floor(std::max(0.0, noisy)) : noisy,
                                   with_ties ? normal(random) : 0});
            model.cost.push_back(cost * (1 + 0.3 * std::abs(normal(random))));
        }
        out.models.push_back(std::move(model));
        cost *= 5;
    }
    return out;
}

TEST(CascadeHull, IsConcaveAndRises) {
    const std::vector<CostQuality> points{{1, .5},  {2, .9}, {3, .6},  {4, .95},
                                          {5, .93}, {2, .7}, {6, 1.0}, {1, .4}};
    EXPECT_EQ(upper_hull(points), (std::vector<std::size_t>{0, 1, 6}));
    EXPECT_EQ(upper_hull(std::vector<CostQuality>{{3, .5}}), (std::vector<std::size_t>{0}));
    // A dearer, worse one is never a vertex; of equal points the first is.
    EXPECT_EQ(upper_hull(std::vector<CostQuality>{{1, .8}, {1, .8}, {2, .7}}),
              (std::vector<std::size_t>{0}));
}

TEST(CascadeHull, MixturesAndPricesOfMoney) {
    const std::vector<CostQuality> points{{1, .5}, {2, .9}, {6, 1.0}};
    const auto hull = upper_hull(points);
    const Mixture half = mixture_at(points, hull, 4);
    EXPECT_EQ(half.first, 1U);
    EXPECT_EQ(half.second, 2U);
    EXPECT_DOUBLE_EQ(half.share, 0.5);
    EXPECT_DOUBLE_EQ(half.of([&](std::size_t i) { return points[i].quality; }), 0.95);
    EXPECT_EQ(mixture_at(points, hull, 0.5).first, 0U);
    EXPECT_EQ(mixture_at(points, hull, 9).first, 2U);
    EXPECT_EQ(best_at(points, hull, 0), 2U);
    EXPECT_EQ(best_at(points, hull, 0.1), 1U);
    EXPECT_EQ(best_at(points, hull, 0.39), 1U);
    EXPECT_EQ(best_at(points, hull, 0.41), 0U);
    EXPECT_NEAR(lambda_at(points, hull, 1.5), 0.4, 1e-12);
    EXPECT_NEAR(lambda_at(points, hull, 3), 0.025, 1e-12);
    EXPECT_EQ(lambda_at(points, hull, 6), 0);
    for (const double lambda : {0.001, 0.02, 0.03, 0.3, 0.5, 2.0}) {
        std::size_t best = 0;
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (points[i].quality - lambda * points[i].cost >
                points[best].quality - lambda * points[best].cost)
                best = i;
        }
        EXPECT_EQ(hull[best_at(points, hull, lambda)], best) << lambda;
    }
}

TEST(CascadePolicy, PaysForEveryModelItAsks) {
    Labelled labels;
    labels.models = {{{0}, {1}, {{0.3, 0}}}, {{1}, {10}, {{0.9, 0}}}, {{0}, {100}, {}}};
    Policy policy;
    policy.size = 3;
    policy.models = {0, 1, 2};
    policy.cuts = {Score{0.5, 0}, Score{0.8, 0}};
    EXPECT_EQ(outcome(policy, labels, 0).cost, 11);
    EXPECT_EQ(outcome(policy, labels, 0).quality, 1);
    policy.cuts[1] = {0.95, 0};
    EXPECT_EQ(outcome(policy, labels, 0).cost, 111);
    EXPECT_EQ(outcome(policy, labels, 0).quality, 0);
    policy.cuts[0] = {0.3, 0};  // at the cut is taken
    EXPECT_EQ(outcome(policy, labels, 0).cost, 1);
    EXPECT_EQ(outcome(single_model(2), labels, 0).cost, 100);
}

TEST(CascadeSweep, AgreesWithBruteForce) {
    for (const bool ties : {false, true}) {
        const Labelled labels = drawn(120, {.5, .65, .8}, 7, 3, ties);
        const Frontier swept =
            sweep_pairs(labels, {.curve_rows = 0, .least_gain = 0, .chains = false});
        // Every pair, every cut, by playing it.
        std::vector<CostQuality> all;
        for (std::size_t m = 0; m < 3; ++m) all.push_back(outcome(single_model(m), labels));
        for (std::uint16_t a = 0; a < 3; ++a) {
            for (std::uint16_t b = a + 1; b < 3; ++b) {
                for (const Score& cut : labels.models[a].score) {
                    Policy policy;
                    policy.size = 2;
                    policy.models = {a, b};
                    policy.cuts[0] = cut;
                    all.push_back(outcome(policy, labels));
                }
            }
        }
        const auto best = upper_hull(all);
        ASSERT_EQ(swept.hull.size(), best.size());
        for (std::size_t i = 0; i < best.size(); ++i) {
            EXPECT_NEAR(swept.points[swept.hull[i]].cost, all[best[i]].cost, 1e-12);
            EXPECT_NEAR(swept.points[swept.hull[i]].quality, all[best[i]].quality, 1e-12);
            // What is told of a policy is what it does.
            const CostQuality played = outcome(swept.policies[swept.hull[i]], labels);
            EXPECT_NEAR(played.quality, swept.points[swept.hull[i]].quality, 1e-12);
            EXPECT_NEAR(played.cost, swept.points[swept.hull[i]].cost, 1e-12);
        }
    }
}

TEST(CascadeChains, GridAgreesWithPlayingTheChain) {
    const Labelled labels = drawn(150, {.5, .65, .8}, 9, 3, true);
    const CutGrid a(labels.models[0].score, 12);
    const CutGrid b(labels.models[1].score, 12);
    ChainGrid grid(labels);
    grid.build({0, 1, 2}, a, b);
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t j = 0; j < b.size(); ++j) {
            Policy policy;
            policy.size = 3;
            policy.models = {0, 1, 2};
            policy.cuts = {a.cut(i), b.cut(j)};
            const CostQuality played = outcome(policy, labels);
            EXPECT_NEAR(grid.at(i, j).cost, played.cost, 1e-12);
            EXPECT_NEAR(grid.at(i, j).quality, played.quality, 1e-12);
        }
    }
}

TEST(CascadeFit, ConfidenceWithoutInformationLeavesTheZeroRouter) {
    double gained = 0;
    int vertices = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Labelled labels = drawn(50, {.5, .6, .7, .8}, seed, 0);
        const Labelled test = drawn(4000, {.5, .6, .7, .8}, seed + 1000, 0);
        const auto fitted = fit_frontier(labels);
        ASSERT_TRUE(fitted);
        for (const std::size_t vertex : fitted->hull) {
            const CostQuality played = outcome(fitted->policies[vertex], test);
            std::vector<CostQuality> singles;
            for (std::size_t m = 0; m < 4; ++m) singles.push_back(outcome(single_model(m), test));
            const double zero =
                mixture_at(singles, fitted->zero, played.cost).of([&](std::size_t i) {
                    return singles[i].quality;
                });
            gained += played.quality - zero;
            ++vertices;
        }
    }
    EXPECT_GT(gained / vertices, -0.005);
}

TEST(CascadeFit, GoodConfidenceBeatsTheZeroRouter) {
    const Labelled labels = drawn(400, {.5, .65, .8}, 21);
    const Labelled test = drawn(4000, {.5, .65, .8}, 22);
    const auto fitted = fit_frontier(labels);
    ASSERT_TRUE(fitted);
    std::vector<CostQuality> singles;
    for (std::size_t m = 0; m < 3; ++m) singles.push_back(outcome(single_model(m), test));
    const double cost = singles[2].cost * 0.3;
    const Mixture mixture = mixture_at(fitted->points, fitted->hull, cost);
    const auto play = [&](std::size_t i) {
        return outcome(fitted->policies[i], test).quality;
    };
    const double zero = mixture_at(singles, upper_hull(singles), cost).of([&](std::size_t i) {
        return singles[i].quality;
    });
    EXPECT_GT(mixture.of(play), zero + 0.03);
}

TEST(CascadeFit, APoolWithoutScoresIsNone) {
    const Labelled labels = drawn(60, {.5, .8}, 4);
    Labelled pool = drawn(300, {.5, .8}, 5);
    const auto qualities = [&](const Labelled* of) {
        std::vector<double> out;
        for (const CostQuality& point : sweep_pairs(labels, {.pool = of}).points)
            out.push_back(point.quality);
        return out;
    };
    EXPECT_NE(qualities(&pool), qualities(nullptr));
    pool.models[0].score.clear();
    EXPECT_EQ(qualities(&pool), qualities(nullptr));
}

TEST(CascadeFit, BadInputIsRefusedAndOneModelIsEnough) {
    EXPECT_FALSE(fit_frontier({}));
    Labelled labels = drawn(30, {.6, .8}, 3);
    labels.models[1].quality[4] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_FALSE(fit_frontier(labels));
    labels.models[1].quality[4] = 1;
    labels.models[1].cost[4] = -1;
    const auto refused = fit_frontier(labels);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("row 4"), std::string::npos);
    labels.models[1].cost.pop_back();
    EXPECT_FALSE(fit_frontier(labels));

    const auto one = fit_frontier(drawn(30, {.6}, 3));
    ASSERT_TRUE(one);
    EXPECT_EQ(one->hull.size(), 1U);
    const auto single_row = fit_frontier(drawn(1, {.6, .8}, 3));
    EXPECT_TRUE(single_row);
    Labelled constant = drawn(60, {.6, .8}, 3);
    for (auto& model : constant.models) std::fill(model.quality.begin(), model.quality.end(), 1);
    const auto cheapest = fit_frontier(constant);
    ASSERT_TRUE(cheapest);
    EXPECT_EQ(cheapest->policies[cheapest->hull.back()].size, 1);
    EXPECT_EQ(cheapest->policies[cheapest->hull.back()].models[0], 0);
    // No scores: nothing to cascade on.
    Labelled mute = drawn(60, {.6, .8}, 3);
    for (auto& model : mute.models) model.score.clear();
    ASSERT_TRUE(fit_frontier(mute));
}

}  // namespace
}  // namespace leeway::cascade
