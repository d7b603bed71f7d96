#include "lab/replay/router_policy.hpp"

#include "base/chances.hpp"
#include "lab/replay/replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace leeway::lab {
namespace {

using router::cues_of;

constexpr double kSmallUsd = 0.00001;
constexpr double kLargeUsd = 0.001;
constexpr ReplayPlan kPlan{.resamples = 300};

/// Queries on either side of a plane; the small model can do those on one side.
struct Asked {
    std::vector<float> vector;
    std::string text;
    bool easy = false;
};
Asked asked(std::size_t number, Chances& chances) {
    Asked out;
    out.easy = number % 2 == 0;
    const auto y = static_cast<float>(chances.uniform() - 0.5) * 0.2F;
    const float length = std::sqrt(1 + y * y);
    out.vector = {(out.easy ? 1.0F : -1.0F) / length, y / length};
    out.text = (out.easy ? "hello " : "3 * ") + std::to_string(number);
    return out;
}

router::RouterFile router_of(const router::Spending& spending, bool learned = true) {
    Chances chances(5);
    router::OutcomeRows rows;
    rows.dimension = 2;
    rows.models = {{"small", {}, {}, {}}, {"large", {}, {}, {}}};
    for (std::size_t r = 0; r < 300; ++r) {
        const Asked one = asked(r, chances);
        rows.vectors.insert(rows.vectors.end(), one.vector.begin(), one.vector.end());
        rows.cues.push_back(cues_of(one.text));
        rows.models[0].quality.push_back(one.easy ? 1.0F : 0.0F);
        rows.models[1].quality.push_back(1.0F);
        rows.models[0].cost.emplace_back(10'000'000);
        rows.models[1].cost.emplace_back(1'000'000'000);
        for (auto& model : rows.models) model.tokens_out.push_back(-1);
    }
    const auto fitted = router::fit_predictor(rows);
    router::RouterFile out;
    out.state = fitted->predictor.state();
    out.policy = learned
                     ? router::fit_policy(rows, fitted->held_out, router::lambda_ladder(kLargeUsd))
                     : router::zero_policy(rows, std::vector<double>{spending.lambda});
    out.fingerprint = "f00d";
    out.embedding_model = "m";
    out.spending = spending;
    return out;
}

constexpr router::Spending kWorthHalf{.budget_usd = std::nullopt, .lambda = 300};

/// Recorded requests, and what they look into.
struct Recording {
    std::vector<Asked> asked;
    std::vector<RecordedRequest> requests;
};
/// Other queries than the router was fitted to. The small model is right on nine easy ones of ten, the large one on all.
Recording recording(std::size_t count, std::uint64_t seed) {
    Chances chances(seed);
    Recording out;
    for (std::size_t i = 0; i < count; ++i) out.asked.push_back(asked(1000 + i, chances));
    for (std::size_t i = 0; i < count; ++i) {
        RecordedRequest& to = out.requests.emplace_back();
        to.id.bytes[14] = static_cast<std::uint8_t>(i >> 8U);
        to.id.bytes[15] = static_cast<std::uint8_t>(i);
        to.text = out.asked[i].text;
        to.vector = out.asked[i].vector;
        RecordedAnswer small;
        small.asked = true;
        small.quality = out.asked[i].easy && chances.uniform() < 0.9 ? 1 : 0;
        small.cost_usd = kSmallUsd;
        RecordedAnswer large;
        large.asked = true;
        large.quality = 1;
        large.cost_usd = kLargeUsd;
        to.answers = {small, large};
    }
    return out;
}

TEST(ReplayRouter, CountsWhatTheStageDecides) {
    const Recording recorded = recording(600, 1);
    const ReplayedRouter policy(router_of(kWorthHalf), {.spending = kWorthHalf, .reference = 1});
    EXPECT_TRUE(policy.needs_vectors());
    const auto report = replay(policy, recorded.requests, kPlan);
    ASSERT_TRUE(report.has_value()) << report.error().text();
    double quality = 0;
    double small_alone = 0;
    for (std::size_t i = 0; i < 600; ++i) {
        quality += *recorded.requests[i].answers[recorded.asked[i].easy ? 0 : 1].quality / 600;
        small_alone += *recorded.requests[i].answers[0].quality / 600;
    }
    EXPECT_EQ(report->decisions.at("small"), 300U);
    EXPECT_EQ(report->decisions.at("large"), 300U);
    EXPECT_EQ(report->models[0].asked, 300U);
    EXPECT_EQ(report->models[1].answered, 300U);
    EXPECT_EQ(report->undecided, 0U);
    EXPECT_NEAR(report->quality->mean.value, quality, 1e-12);
    EXPECT_NEAR(report->cost_usd->mean.value, (kSmallUsd + kLargeUsd) / 2, 1e-12);
    EXPECT_NEAR(report->saving->value, 1 - (kSmallUsd + kLargeUsd) / 2 / kLargeUsd, 1e-9);
    // Half of each by chance costs the same, so it is the zero router as well.
    EXPECT_NEAR(report->random_quality->value, (small_alone + 1) / 2, 1e-12);
    EXPECT_NEAR(report->random_cost_usd->value, (kSmallUsd + kLargeUsd) / 2, 1e-12);
    EXPECT_NEAR(report->zero_quality->value, report->random_quality->value, 1e-9);
    EXPECT_NEAR(report->gain_over_random->value, quality - (small_alone + 1) / 2, 1e-12);
    EXPECT_GT(report->gain_at_cost->low, 0.1);
    EXPECT_EQ(report->harmed, static_cast<std::size_t>(std::lround(600 * (1 - quality))));
}

TEST(ReplayRouter, DrawsBetweenTwoTradesByTheRequestsIds) {
    // Between the trades "large for what is hard" and "small for all", whatever the rest of the curve.
    const Recording recorded = recording(600, 2);
    const router::Spending budget{.budget_usd = 0.0003, .lambda = 0};
    const ReplayedRouter policy(router_of(budget), {.spending = budget, .reference = 1});
    const auto report = replay(policy, recorded.requests, kPlan);
    ASSERT_TRUE(report.has_value()) << report.error().text();
    // Six of ten hard ones are what that pays for.
    EXPECT_NEAR(report->cost_usd->mean.value, 0.0003, 0.00006);
    EXPECT_EQ(report->decisions.size(), 2U);  // words have no probabilities in them
    const auto again = replay(policy, recorded.requests, kPlan);
    EXPECT_EQ(again->cost_usd->mean.value, report->cost_usd->mean.value);
    // Another route draws otherwise.
    const ReplayedRouter other(router_of(budget),
                               {.spending = budget, .reference = 1, .route = "support"});
    EXPECT_NE(replay(other, recorded.requests, kPlan)->cost_usd->mean.value,
              report->cost_usd->mean.value);
}

TEST(ReplayRouter, EstimatesWhatOnlyOneModelAnswered) {
    // As the ledger of a gateway that asked one of them by chance, the large one more often where it is hard.
    double error = 0;
    double naive_error = 0;
    constexpr int kSeeds = 10;
    for (int seed = 0; seed < kSeeds; ++seed) {
        Recording recorded = recording(800, 50 + static_cast<std::uint64_t>(seed));
        Chances chances(static_cast<std::uint64_t>(seed));
        double truth = 0;
        double seen = 0;
        double known = 0;
        for (std::size_t i = 0; i < 800; ++i) {
            auto& answers = recorded.requests[i].answers;
            truth += *answers[0].quality / 800;
            const bool small = chances.uniform() < (recorded.asked[i].easy ? 0.8 : 0.3);
            if (small) {
                seen += *answers[0].quality;
                ++known;
            }
            answers[small ? 1 : 0] = {};
        }
        const ReplayedRouter policy(router_of(kWorthHalf),
                                    {.spending = kWorthHalf, .reference = 1});
        const auto report = replay(policy, recorded.requests, kPlan);
        ASSERT_TRUE(report.has_value());
        ASSERT_TRUE(report->models[0].quality.has_value());
        error += report->models[0].quality->mean.value - truth;
        naive_error += seen / known - truth;
        EXPECT_EQ(report->models[0].quality->known, static_cast<std::size_t>(known));
        // The small model is known where the router would ask it, or is estimated there.
        ASSERT_TRUE(report->quality.has_value());
        EXPECT_NEAR(report->quality->mean.value, 0.95, 0.05);
        EXPECT_GT(report->quality->estimated, 0U);
    }
    EXPECT_GT(naive_error / kSeeds, 0.1);
    EXPECT_LT(std::abs(error / kSeeds), 0.015);
}

TEST(ReplayRouter, WithoutAVectorNothingIsDecided) {
    Recording recorded = recording(100, 3);
    for (std::size_t i = 0; i < 30; ++i) recorded.requests[i].vector = {};
    // Of a ledger's request nobody has the text, either; that is not as if nothing had been said.
    for (std::size_t i = 0; i < 10; ++i) recorded.requests[i].text = {};
    const ReplayedRouter policy(router_of(kWorthHalf), {.spending = kWorthHalf, .reference = 1});
    const auto report = replay(policy, recorded.requests, kPlan);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->undecided, 30U);
    // A vector of another length is of another model.
    const std::vector<float> longer(3, 0.5F);
    recorded.requests[50].vector = longer;
    EXPECT_EQ(replay(policy, recorded.requests, kPlan)->undecided, 31U);
    for (RecordedRequest& one : recorded.requests) one.vector = {};
    const auto refused = replay(policy, recorded.requests, kPlan);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().hint.find("vector"), std::string::npos) << refused.error().text();
}

TEST(ReplayRouter, APolicyWithoutEvidenceNeedsNoVector) {
    Recording recorded = recording(60, 4);
    for (RecordedRequest& one : recorded.requests) one.vector = {};
    const ReplayedRouter policy(router_of(kWorthHalf, false),
                                {.spending = kWorthHalf, .reference = 1});
    EXPECT_FALSE(policy.needs_vectors());
    const auto report = replay(policy, recorded.requests, kPlan);
    ASSERT_TRUE(report.has_value()) << report.error().text();
    EXPECT_EQ(report->decisions.size(), 1U);
    EXPECT_TRUE(report->decisions.begin()->first.ends_with(":no_evidence"));
    EXPECT_EQ(report->undecided, 0U);
}

TEST(ReplayRouter, GoesByTheCuesOfATextThatWasNotKept) {
    Recording recorded = recording(200, 5);
    const ReplayedRouter policy(router_of(kWorthHalf), {.spending = kWorthHalf, .reference = 1});
    std::vector<std::string> by_text;
    for (const RecordedRequest& one : recorded.requests) by_text.push_back(policy.decide(one)->why);
    for (std::size_t i = 0; i < 200; ++i) {
        recorded.requests[i].cues = cues_of(recorded.asked[i].text);
        recorded.requests[i].text = {};
    }
    for (std::size_t i = 0; i < 200; ++i)
        EXPECT_EQ(policy.decide(recorded.requests[i])->why, by_text[i]) << i;
    // Where nobody said anything the route's own model answers.
    recorded.requests[0].cues.reset();
    const auto silent = policy.decide(recorded.requests[0]);
    ASSERT_TRUE(silent.has_value());
    EXPECT_EQ(silent->why, "no_text");
    EXPECT_EQ(silent->asked.back(), 1U);
}

}  // namespace
}  // namespace leeway::lab
