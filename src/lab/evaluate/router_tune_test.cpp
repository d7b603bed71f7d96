#include "lab/evaluate/router_tune.hpp"

#include "base/chances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace leeway::lab {
namespace {

using router::OutcomeRows;

/// "small" is right on the queries of the first kind, "large" nearly always. `noise`: outcomes that are drawn by lot.
OutcomeRows rows_of(std::size_t n, double noise, std::uint64_t seed = 3) {
    Chances chances(seed);
    OutcomeRows out;
    out.dimension = 8;
    out.models = {{"small", {}, {}, {}}, {"large", {}, {}, {}}};
    for (std::size_t r = 0; r < n; ++r) {
        const bool easy = chances.uniform() < 0.5;
        std::vector<float> vector(out.dimension);
        float squares = 0;
        for (float& x : vector) x = static_cast<float>(chances.uniform() - 0.5) * 0.4F;
        vector[0] = easy ? 1.0F : -1.0F;
        for (const float x : vector) squares += x * x;
        for (const float x : vector) out.vectors.push_back(x / std::sqrt(squares));
        out.cues.push_back(router::cues_of("a question"));
        const bool lot = chances.uniform() < noise;
        const bool either = chances.uniform() < 0.5;
        out.models[0].quality.push_back((lot ? either : easy) ? 1.0F : 0.0F);
        out.models[1].quality.push_back(chances.uniform() < 0.95 ? 1.0F : 0.0F);
        out.models[0].cost.emplace_back(10'000'000);
        out.models[1].cost.emplace_back(1'000'000'000);
        for (auto& model : out.models) model.tokens_out.push_back(-1);
    }
    return out;
}

RouterTuning at_budget(double usd) {
    RouterTuning out;
    out.spending.budget_usd = usd;
    out.resamples = 500;
    return out;
}

TEST(TuneRouter, ShowsAGainWhereThereIsOne) {
    const auto tuned = tune_router(rows_of(400, 0.1), at_budget(0.0005));
    ASSERT_TRUE(tuned.has_value());
    const router::RouterEvidence& shown = tuned->evidence;
    EXPECT_TRUE(shown.enough) << shown.why;
    EXPECT_TRUE(shown.why.empty());
    EXPECT_GT(shown.gain_low, 0);
    EXPECT_LT(shown.gain_low, shown.gain);
    // Half and half of single models are right on about 0.73; who can tell the kinds apart on more than 0.9.
    EXPECT_NEAR(shown.zero_quality, 0.73, 0.05);
    EXPECT_GT(shown.quality, 0.88);
    EXPECT_NEAR(shown.cost_usd, 0.0005, 0.00006);
    EXPECT_GT(tuned->policy.trades.size(), 10U);
    EXPECT_EQ(tuned->spending.budget_usd, 0.0005);
}

TEST(TuneRouter, ClaimsNothingOfNoise) {
    std::size_t claimed = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const auto tuned = tune_router(rows_of(150, 1, seed), at_budget(0.0005));
        ASSERT_TRUE(tuned.has_value());
        if (tuned->evidence.enough) {
            ++claimed;
            continue;
        }
        EXPECT_NE(tuned->evidence.why.find("not above 0"), std::string::npos);
        ASSERT_EQ(tuned->policy.trades.size(), 1U);
        EXPECT_FALSE(tuned->policy.trades[0].learned);
        EXPECT_EQ(tuned->policy.trades[0].single, 0U);  // the large one is beyond the budget
    }
    EXPECT_LE(claimed, 1U);
}

TEST(TuneRouter, KeepsToWhatTheBudgetAffordsWithFewRows) {
    for (const auto& [usd, single] : {std::pair(0.002, 1U), {0.0005, 0U}, {0.000001, 0U}}) {
        const auto tuned = tune_router(rows_of(40, 0), at_budget(usd));
        ASSERT_TRUE(tuned.has_value());
        EXPECT_FALSE(tuned->evidence.enough);
        EXPECT_NE(tuned->evidence.why.find("of at least 60"), std::string::npos);
        EXPECT_EQ(tuned->policy.trades.front().single, single) << usd;
    }
}

TEST(TuneRouter, WorksAtALambda) {
    RouterTuning how;
    how.spending.lambda = 400;  // 0.4 of quality for a call of the large model
    how.resamples = 500;
    const auto tuned = tune_router(rows_of(400, 0.1), how);
    ASSERT_TRUE(tuned.has_value());
    EXPECT_TRUE(tuned->evidence.enough) << tuned->evidence.why;
    EXPECT_FALSE(tuned->spending.budget_usd.has_value());
    EXPECT_NE(std::ranges::find(tuned->policy.trades, 400.0, &router::RouteTrade::lambda),
              tuned->policy.trades.end());
}

TEST(TuneRouter, RefusesWhatCannotBeRouted) {
    OutcomeRows rows = rows_of(100, 0);
    rows.models.pop_back();
    EXPECT_FALSE(tune_router(rows, at_budget(1)).has_value());
    EXPECT_FALSE(tune_router({}, at_budget(1)).has_value());
}

TEST(CompleteRows, AreOfTheseModelsOnly) {
    OutcomeRows rows = rows_of(10, 0);
    rows.models[0].quality[3] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<std::string> both{"large", "small"};
    const auto known = complete_rows(rows, both);
    ASSERT_TRUE(known.has_value());
    EXPECT_EQ(known->size(), 9U);
    EXPECT_EQ(known->models[0].model, "large");
    EXPECT_EQ(known->vector(3)[0], rows.vector(4)[0]);
    EXPECT_EQ(complete_rows(rows, std::vector<std::string>{"large"})->size(), 10U);
    const auto none = complete_rows(rows, std::vector<std::string>{"tiny"});
    ASSERT_FALSE(none.has_value());
    EXPECT_NE(none.error().message.find("tiny"), std::string::npos);
}

}  // namespace
}  // namespace leeway::lab
