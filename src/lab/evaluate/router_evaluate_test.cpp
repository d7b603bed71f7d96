#include "lab/evaluate/router_evaluate.hpp"

#include "base/chances.hpp"
#include "lab/evaluate/matrix_factorisation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace leeway::lab {
namespace {

TEST(RouterCurves, AreaIsTheMeanOfTheLineBetweenTheBounds) {
    const std::vector<CostQuality> line{{1, 0.2}, {3, 0.6}, {5, 0.8}};
    EXPECT_DOUBLE_EQ(area_under(line, 1, 5), (0.4 * 2 + 0.7 * 2) / 4);
    EXPECT_DOUBLE_EQ(area_under(line, 2, 4), (0.5 + 0.65) / 2);
    // Level before the first and after the last.
    EXPECT_DOUBLE_EQ(area_under(line, 0, 1), 0.2);
    EXPECT_DOUBLE_EQ(area_under(line, 4, 8), (0.75 + 3 * 0.8) / 4);
    EXPECT_DOUBLE_EQ(area_under(line, 3, 3), 0.6);
    EXPECT_DOUBLE_EQ(quality_at(line, 2), 0.4);
    EXPECT_DOUBLE_EQ(cost_for(line, 0.7), 4);
    EXPECT_DOUBLE_EQ(cost_for(line, 0.1), 1);
    EXPECT_TRUE(std::isinf(cost_for(line, 0.9)));
}

TEST(RouterCurves, HullLeavesOutWhatAMixBeats) {
    const std::vector<CostQuality> points{{3, 0.6}, {2, 0.3}, {1, 0.2}, {4, 0.5}};
    const auto hull = hull_of(points);
    ASSERT_EQ(hull.size(), 2U);
    EXPECT_DOUBLE_EQ(hull[0].cost, 1);
    EXPECT_DOUBLE_EQ(hull[1].quality, 0.6);
}

TEST(RouterCurves, MeansCountRowsAsOftenAsTheyWereDrawn) {
    Played played(2, 1);
    played.set(0, 0, 1, 3);
    played.set(1, 0, 0, 1);
    const auto points = mean_points(played, std::vector<std::uint32_t>{3, 1});
    EXPECT_DOUBLE_EQ(points[0].quality, 0.75);
    EXPECT_DOUBLE_EQ(points[0].cost, 2.5);
}

TEST(RouterCurves, ResamplesKeepTheSizeOfEachStratum) {
    const std::vector<std::uint32_t> strata{0, 1, 0, 1, 1, 0, 0};
    std::size_t times = 0;
    double first = 0;
    resample(strata, 400, 5, [&](std::span<const std::uint32_t> weights) {
        ++times;
        EXPECT_EQ(weights[0] + weights[2] + weights[5] + weights[6], 4U);
        EXPECT_EQ(weights[1] + weights[3] + weights[4], 3U);
        first += weights[0];
    });
    EXPECT_EQ(times, 400U);
    EXPECT_NEAR(first / 400, 1, 0.2);
}

TEST(RouterCurves, IntervalsAreTheMiddleOfTheResamples) {
    std::vector<double> values;
    for (int i = 0; i <= 1000; ++i) values.push_back(i);
    values.push_back(std::numeric_limits<double>::quiet_NaN());
    const Estimate one = estimate_of(500, values);
    EXPECT_DOUBLE_EQ(one.low, 25);
    EXPECT_DOUBLE_EQ(one.high, 975);
}

/// A table in which "cheap" is right on queries whose vectors point up and "dear" on all but `noise`; vectors tell
/// nothing when `blind`.
struct World {
    OutcomeTable table;
    models::VectorTable vectors;
};
World world(std::size_t n, double noise, bool blind) {
    Chances chances(9);
    World out;
    out.vectors.dimension = 8;
    out.table.models.resize(2);
    out.table.models[0].model = "cheap";
    out.table.models[1].model = "dear";
    for (ModelOutcomes& one : out.table.models) one.has_cost = true;
    for (std::size_t i = 0; i < n; ++i) {
        const bool easy = chances.uniform() < 0.5;
        std::vector<float> vector(8);
        float squares = 0;
        for (float& x : vector) x = static_cast<float>(chances.uniform() - 0.5);
        vector[0] = easy != (blind && chances.uniform() < 0.5) ? 1.5F : -1.5F;
        for (const float x : vector) squares += x * x;
        for (const float x : vector) out.vectors.values.push_back(x / std::sqrt(squares));
        const std::size_t q = out.table.add_query({"", "t", "", "what"});
        const auto set = [&](std::size_t m, bool right, std::int64_t cost) {
            if (chances.uniform() < noise) right = !right;
            out.table.models[m].state[q] = CellState::kKnown;
            out.table.models[m].quality[q] = right ? 1.0F : 0.0F;
            out.table.models[m].cost[q] = PicoUsd(cost);
        };
        set(0, easy, 1'000'000);
        set(1, true, 11'000'000);
    }
    return out;
}

RouterEvaluation quick() {
    RouterEvaluation out;
    out.resamples = 200;
    return out;
}

TEST(RouterEvaluate, RecoversTheWholeGapWhereQueriesTellAll) {
    const World w = world(400, 0, false);
    const auto report = evaluate_router(w.table, w.vectors, quick());
    ASSERT_TRUE(report.has_value()) << report.error().text();
    EXPECT_EQ(report->n, 400U);
    EXPECT_NEAR(report->gap_recovered.value, 1, 0.03);
    EXPECT_GT(report->gap_recovered.low, 0.9);
    EXPECT_EQ(report->below_zero, 0U);
    // By hand: quality rises from 0.5 at cost 1 to 1 at the mean cost 6 and then stays: (0.75 + 1) / 2. The zero router
    // has the straight line from 0.5 to 1.
    EXPECT_NEAR(report->oracle_area, 0.875, 0.015);
    EXPECT_NEAR(report->zero_area, 0.75, 0.015);
    EXPECT_NEAR(report->cost_ratio, (6.0 - 0.1) / 11, 0.06);
    EXPECT_NEAR(report->gain_at_50.value, 0.95 - 0.725, 0.03);
    // Chance at the same rates has the zero router's line.
    EXPECT_NEAR(report->methods[4].gap_recovered.value, 0, 0.05);
    EXPECT_EQ(report->methods[4].name, "random mix");
    EXPECT_EQ(report->methods[0].name, "leeway");
    EXPECT_GT(report->methods[2].gap_recovered.value, 0.9);  // five neighbours see it as well
    EXPECT_GT(report->methods[3].gap_recovered.value, 0.8);
}

TEST(RouterEvaluate, IsTheZeroRouterWhereQueriesTellNothing) {
    const World w = world(400, 0.1, true);
    RouterEvaluation how = quick();
    how.sure = 2;
    const auto report = evaluate_router(w.table, w.vectors, how);
    ASSERT_TRUE(report.has_value()) << report.error().text();
    EXPECT_NEAR(report->gap_recovered.value, 0, 0.03);
    EXPECT_GT(report->fallen_back, report->lambdas * 5 * 8 / 10);
    // Without it, what noise says would be believed.
    EXPECT_GT(report->methods[1].below_zero, report->methods[0].below_zero);
}

/// Vectors tell nothing, and models know when they are right.
World sure_world(std::size_t n) {
    World out = world(n, 0, true);
    out.table.models.push_back(out.table.models[0]);
    out.table.models[2].model = "middle";
    Chances chances(3);
    for (std::size_t q = 0; q < n; ++q) {
        out.table.models[2].cost[q] = PicoUsd(3'000'000);
        if (chances.uniform() < 0.5) out.table.models[2].quality[q] = 1.0F;
        for (ModelOutcomes& one : out.table.models)
            one.mean_logprob[q] = one.quality[q] > 0.5F ? -0.01F : -3.0F;
    }
    for (ModelOutcomes& one : out.table.models) one.has_logprobs = true;
    return out;
}

TEST(RouterEvaluate, FrugalGptGoesByWhatModelsSayOfTheirAnswers) {
    const World w = sure_world(400);
    const auto report = evaluate_router(w.table, w.vectors, quick());
    ASSERT_TRUE(report.has_value()) << report.error().text();
    EXPECT_EQ(report->frugal_skipped, "");
    ASSERT_EQ(report->methods.size(), 6U);
    const RouterFigures& frugal = report->methods[4];
    EXPECT_EQ(frugal.name, "FrugalGPT");
    EXPECT_EQ(report->methods[5].name, "random mix");
    // By hand: cheap answers half, of the others middle does half for 1 + 3, and dear the rest for 1 + 3 + 11: at the
    // mean of 5.25 (millionths of a USD) all is right. Nobody who sees the query alone is better than the zero router.
    EXPECT_GT(quality_at(report->frugal_curve, 6e-6), 0.98);
    EXPECT_LT(quality_at(report->curve, 6e-6), 0.9);
    EXPECT_GT(frugal.gap_recovered.low, 0.3);
    // It pays for all calls of a chain, so it is never better than the oracle.
    EXPECT_LT(frugal.area, report->oracle_area);
}

TEST(RouterEvaluate, SaysWhyThereIsNoFrugalGpt) {
    const World two = world(100, 0, false);
    const auto few = evaluate_router(two.table, two.vectors, quick());
    ASSERT_TRUE(few.has_value());
    EXPECT_EQ(few->frugal_skipped, "fewer_than_three_models");
    EXPECT_TRUE(few->frugal_curve.empty());
    World silent = sure_world(100);
    for (std::size_t m : {0U, 2U})
        std::ranges::fill(silent.table.models[m].mean_logprob,
                          std::numeric_limits<float>::quiet_NaN());
    const auto none = evaluate_router(silent.table, silent.vectors, quick());
    ASSERT_TRUE(none.has_value());
    EXPECT_EQ(none->frugal_skipped, "no_logprobs");
    EXPECT_EQ(none->methods.size(), 5U);
}

TEST(RouterEvaluate, RowsWithMissingOutcomesAreLeftOut) {
    World w = world(200, 0.05, false);
    w.table.models[1].state[3] = CellState::kMissing;
    w.table.models[0].state[7] = CellState::kMissing;
    w.table.models[0].state[9] = CellState::kAllZero;
    const auto report = evaluate_router(w.table, w.vectors, quick());
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->n, 198U);
    EXPECT_EQ(report->incomplete, 2U);
    const router::OutcomeRows rows = rows_of(w.table, w.vectors, std::vector<std::size_t>{9, 10});
    EXPECT_TRUE(std::isnan(rows.models[0].quality[0]));
    EXPECT_FALSE(std::isnan(rows.models[0].quality[1]));
}

TEST(RouterEvaluate, SaysWhyItCannot) {
    World one = world(100, 0, false);
    one.table.models.pop_back();
    EXPECT_NE(evaluate_router(one.table, one.vectors, quick()).error().message.find("one model"),
              std::string::npos);
    const World few = world(40, 0, false);
    EXPECT_NE(evaluate_router(few.table, few.vectors, quick()).error().message.find("40 rows"),
              std::string::npos);
    World unpriced = world(100, 0, false);
    unpriced.table.models[1].has_cost = false;
    EXPECT_NE(
        evaluate_router(unpriced.table, unpriced.vectors, quick()).error().message.find("dear"),
        std::string::npos);
    World short_of = world(100, 0, false);
    short_of.vectors.values.resize(8);
    EXPECT_FALSE(evaluate_router(short_of.table, short_of.vectors, quick()).has_value());
}

TEST(RouterEvaluate, ConstantQualityHasNoGap) {
    World w = world(100, 0, false);
    for (ModelOutcomes& one : w.table.models) std::ranges::fill(one.quality, 1.0F);
    const auto report = evaluate_router(w.table, w.vectors, quick());
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(std::isnan(report->gap_recovered.value));
    EXPECT_EQ(report->below_zero, 0U);
}

TEST(RouterEvaluate, IsTheSameForTheSameSeed) {
    const World w = world(150, 0.1, false);
    const auto a = evaluate_router(w.table, w.vectors, quick());
    const auto b = evaluate_router(w.table, w.vectors, quick());
    ASSERT_TRUE(a.has_value() && b.has_value());
    EXPECT_EQ(a->gap_recovered.value, b->gap_recovered.value);
    EXPECT_EQ(a->gap_recovered.low, b->gap_recovered.low);
}

TEST(MatrixFactorisation, LearnsWhichModelIsBetterWhere) {
    const World w = world(600, 0.05, false);
    std::vector<float> quality;
    for (std::size_t q = 0; q < 600; ++q) {
        const bool easy = w.vectors.row(q)[0] > 0;
        quality.push_back(easy ? 1.0F : 0.0F);
        quality.push_back(easy ? 0.0F : 1.0F);
    }
    const MatrixFactorisation fitted(w.vectors.values, 8, quality, 2, {});
    std::size_t right = 0;
    std::vector<float> scores(2);
    for (std::size_t q = 0; q < 600; ++q) {
        fitted.score(w.vectors.row(q), scores);
        right += (scores[0] > scores[1]) == (w.vectors.row(q)[0] > 0) ? 1 : 0;
    }
    EXPECT_GT(right, 580U);
}

}  // namespace
}  // namespace leeway::lab
