#include "methods/router/semantic/thresholds.hpp"

#include "methods/router/semantic/calibration.hpp"
#include "methods/router/semantic/folds.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>

namespace leeway::router {
namespace {

/// Rows whose own route has a higher score, as a rule.
ScoredRows chance_rows(std::size_t rows, std::size_t routes, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, 0.15);
    std::uniform_int_distribution<int> label(-1, static_cast<int>(routes) - 1);
    ScoredRows out;
    out.routes = routes;
    for (std::size_t i = 0; i < rows; ++i) {
        const int own = label(random);
        std::vector<double> scores(routes);
        for (std::size_t r = 0; r < routes; ++r)
            scores[r] = (own == static_cast<int>(r) ? 0.5 : 0.2) + noise(random);
        out.add(scores, own);
    }
    return out;
}

TEST(Thresholds, TheCommonOneIsTheBestThatAnySearchFinds) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        const ScoredRows rows = chance_rows(40, 3, seed);
        const RouteCosts costs{.wrong_accept = 2, .wrong_reject = 1, .wrong_route = 3};
        const std::vector<double> found(3, common_threshold(rows, costs));
        double least = 1e9;
        for (int i = -1000; i <= 2000; ++i)
            least = std::min(least, mean_cost(rows, std::vector<double>(3, i * 0.001), costs));
        EXPECT_LE(mean_cost(rows, found, costs), least + 1e-12) << seed;
    }
}

TEST(Thresholds, OnesOfTheirOwnNeverCostMoreOnTheirRows) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        const ScoredRows rows = chance_rows(60, 4, seed);
        const RouteCosts costs;
        const double common = common_threshold(rows, costs);
        const auto own = route_thresholds(rows, costs, common, 0);
        EXPECT_LE(mean_cost(rows, own, costs),
                  mean_cost(rows, std::vector<double>(4, common), costs) + 1e-12);
        // No single step can better what coordinate ascent left.
        for (std::size_t r = 0; r < 4; ++r) {
            auto other = own;
            for (int i = -100; i <= 200; ++i) {
                other[r] = i * 0.01;
                EXPECT_GE(mean_cost(rows, other, costs) + 1e-9, mean_cost(rows, own, costs));
            }
        }
    }
}

TEST(Thresholds, StayWhereTheGainIsTooSmall) {
    const ScoredRows rows = chance_rows(60, 4, 7);
    const auto own = route_thresholds(rows, {}, 0.3, 1000);
    EXPECT_EQ(own, std::vector<double>(4, 0.3));
}

TEST(Thresholds, ADearWrongAcceptRaisesThem) {
    const ScoredRows rows = chance_rows(200, 3, 3);
    EXPECT_GT(common_threshold(rows, {.wrong_accept = 10}),
              common_threshold(rows, {.wrong_accept = 0.1}));
}

TEST(Thresholds, ZeroIsAThreshold) {
    EXPECT_EQ(winner(std::array{0.0}, std::array{0.0}), 0);
    EXPECT_EQ(winner(std::array{-0.1}, std::array{0.0}), ScoredRows::kNone);
    EXPECT_EQ(winner(std::array{0.5, 0.4}, std::array{0.45, 0.2}), 1);
}

TEST(Calibration, SaysWhatComesOnRowsOfItsOwnModel) {
    // Rows drawn from the very softmax: its temperature must be found again, and its error be small.
    std::mt19937 random(5);
    std::uniform_real_distribution<double> uniform(0, 1);
    std::normal_distribution<double> normal(0, 0.2);
    ScoredRows rows;
    rows.routes = 3;
    const std::vector<double> thresholds(3, 0.1);
    std::vector<Judged> judged;
    for (int i = 0; i < 4000; ++i) {
        const std::array scores{normal(random), normal(random), normal(random)};
        const auto sure = probabilities(scores, thresholds, 0.1);
        double at = uniform(random);
        std::int32_t label = ScoredRows::kNone;
        for (std::int32_t r = 0; r < 3 && label == ScoredRows::kNone; ++r) {
            at -= sure[static_cast<std::size_t>(r)];
            if (at < 0) label = r;
        }
        rows.add(scores, label);
    }
    const double temperature = fit_temperature(rows, thresholds);
    EXPECT_NEAR(temperature, 0.1, 0.01);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto sure = probabilities(rows.row(i), thresholds, temperature);
        const std::int32_t won = winner(rows.row(i), thresholds);
        double none = 1;
        for (const double one : sure) none -= one;
        judged.push_back(
            {won < 0 ? none : sure[static_cast<std::size_t>(won)], won == rows.labels[i]});
    }
    EXPECT_LT(calibration_error(judged), 0.03);
    // And it tells a model that is too sure of itself.
    for (Judged& one : judged) one.probability = 0.999;
    EXPECT_GT(calibration_error(judged), 0.2);
}

TEST(Folds, HaveEqualSizesAndTheirShareOfEachLabel) {
    std::vector<std::int32_t> labels;
    for (int i = 0; i < 103; ++i) labels.push_back(i % 3 == 0 ? -1 : i % 2);
    const auto parts = stratified_folds(labels, 5, 9);
    std::array<int, 5> sizes{};
    std::array<int, 5> none{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        ++sizes[parts[i]];
        none[parts[i]] += labels[i] == -1 ? 1 : 0;
    }
    for (std::size_t f = 0; f < 5; ++f) {
        EXPECT_NEAR(sizes[f], 103 / 5.0, 1);
        EXPECT_NEAR(none[f], 35 / 5.0, 1);
    }
    EXPECT_EQ(parts, stratified_folds(labels, 5, 9));
    EXPECT_NE(parts, stratified_folds(labels, 5, 10));
}

}  // namespace
}  // namespace leeway::router
