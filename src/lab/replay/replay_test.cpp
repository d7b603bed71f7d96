#include "lab/replay/replay.hpp"

#include "base/chances.hpp"
#include "lab/replay/cascade_policy.hpp"
#include "lab/replay/doubly_robust.hpp"
#include "lab/replay/table_recording.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace leeway::lab {
namespace {

cascade::CascadeFile policy_at(double probability) {
    cascade::CascadeFile out;
    out.weak = "small";
    out.strong = "large";
    out.certificate.certified = true;
    out.certificate.cut = {cascade::confidence_of(std::log(probability)), -1e9};
    return out;
}

/// The weak model is as often right as its probability says, the strong one nine times of ten.
std::vector<RecordedRequest> traffic(std::size_t count, std::uint64_t seed) {
    Chances chances(seed);
    std::vector<RecordedRequest> out(count);
    for (RecordedRequest& request : out) {
        const double probability = 0.5 + 0.5 * chances.uniform();
        RecordedAnswer weak;
        weak.asked = true;
        weak.mean_logprob = std::log(probability);
        weak.quality = chances.uniform() < probability ? 1 : 0;
        weak.cost_usd = 0.0001;
        RecordedAnswer strong;
        strong.asked = true;
        strong.quality = chances.uniform() < 0.9 ? 1 : 0;
        strong.cost_usd = 0.002;
        request.tokens_in = 100;
        request.answers = {weak, strong};
    }
    return out;
}

constexpr ReplayPlan kPlan{.resamples = 400};

TEST(Replay, CountsWhatTheStageDecides) {
    const auto requests = traffic(2000, 1);
    const ReplayedCascade policy(policy_at(0.8));
    const auto report = replay(policy, requests, kPlan);
    ASSERT_TRUE(report.has_value()) << report.error().text();
    std::size_t kept = 0;
    double cost = 0;
    double quality = 0;
    std::size_t harmed = 0;
    for (const RecordedRequest& request : requests) {
        const bool keeps = std::exp(*request.answers[0].mean_logprob) >= 0.8;
        kept += keeps ? 1 : 0;
        cost += *request.answers[0].cost_usd + (keeps ? 0 : *request.answers[1].cost_usd);
        quality += *request.answers[keeps ? 0 : 1].quality;
        harmed += keeps && *request.answers[0].quality < 0.5 && *request.answers[1].quality > 0.5;
    }
    EXPECT_EQ(report->decisions.at("kept"), kept);
    EXPECT_EQ(report->decisions.at("refused"), requests.size() - kept);
    EXPECT_EQ(report->models[0].asked, requests.size());
    EXPECT_EQ(report->models[1].asked, requests.size() - kept);
    const double n = 2000;
    EXPECT_NEAR(report->cost_usd->mean.value, cost / n, 1e-12);
    EXPECT_NEAR(report->saving->value, 1 - cost / n / 0.002, 1e-9);
    EXPECT_NEAR(report->quality->mean.value, quality / n, 1e-12);
    EXPECT_EQ(report->quality->estimated, 0U);
    EXPECT_EQ(report->harmed, harmed);
    EXPECT_EQ(report->compared, requests.size());
    EXPECT_GT(report->harm_limit, static_cast<double>(harmed) / n);
    EXPECT_LT(report->saving->low, report->saving->value);
    EXPECT_GT(report->saving->high, report->saving->value);
    // A confidence that tells right from wrong beats chance.
    EXPECT_GT(report->gain_at_cost->low, 0);
}

TEST(Replay, WithoutACertificateAllGoesToTheStrongModel) {
    cascade::CascadeFile file = policy_at(0.8);
    file.certificate.certified = false;
    const auto requests = traffic(50, 2);
    const auto report = replay(ReplayedCascade(file), requests, kPlan);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->decisions.at("no_evidence"), 50U);
    EXPECT_EQ(report->models[0].asked, 0U);
    EXPECT_NEAR(report->saving->value, 0, 1e-12);
}

TEST(Replay, WhatIsNotRecordedIsEstimatedWithoutBias) {
    // The strong model's quality is known for one request in five, and less often where the weak one was sure.
    double error = 0;
    double naive_error = 0;
    constexpr int kSeeds = 20;
    for (int seed = 0; seed < kSeeds; ++seed) {
        auto requests = traffic(2000, 100 + static_cast<std::uint64_t>(seed));
        // Easy for the weak model is easy for the strong one, too, so that those known are the hard ones.
        Chances chances(static_cast<std::uint64_t>(seed));
        double truth = 0;
        double seen = 0;
        double known = 0;
        for (RecordedRequest& request : requests) {
            const double p = std::exp(*request.answers[0].mean_logprob);
            RecordedAnswer& strong = request.answers[1];
            strong.quality = chances.uniform() < 0.3 + 0.7 * p ? 1 : 0;
            truth += *strong.quality / 2000;
            if (chances.uniform() < 0.9 - 0.8 * p) {
                seen += *strong.quality;
                ++known;
            } else {
                strong.quality.reset();
            }
        }
        const auto report = replay(ReplayedCascade(policy_at(0.8)), requests, kPlan);
        ASSERT_TRUE(report.has_value());
        ASSERT_TRUE(report->models[1].quality.has_value());
        error += report->models[1].quality->mean.value - truth;
        naive_error += seen / known - truth;
        EXPECT_EQ(report->models[1].quality->known, static_cast<std::size_t>(known));
    }
    EXPECT_LT(naive_error / kSeeds, -0.03);
    EXPECT_LT(std::abs(error / kSeeds), 0.01);
}

TEST(Replay, TellsNoQualityThatNobodyKnows) {
    auto requests = traffic(300, 3);
    for (RecordedRequest& request : requests)
        for (RecordedAnswer& answer : request.answers) answer.quality.reset();
    const auto report = replay(ReplayedCascade(policy_at(0.8)), requests, kPlan);
    ASSERT_TRUE(report.has_value());
    EXPECT_FALSE(report->quality.has_value());
    EXPECT_FALSE(report->quality_gain.has_value());
    EXPECT_TRUE(report->saving.has_value());
    EXPECT_EQ(report->compared, 0U);
}

TEST(Replay, RequestsThatTheWeakModelNeverSawAreLeftOut) {
    auto requests = traffic(100, 4);
    for (std::size_t i = 0; i < 40; ++i) requests[i].answers[0] = {};
    const auto report = replay(ReplayedCascade(policy_at(0.8)), requests, kPlan);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->undecided, 40U);
    EXPECT_EQ(report->replayed(), 60U);
    for (RecordedRequest& request : requests) request.answers[0] = {};
    EXPECT_FALSE(replay(ReplayedCascade(policy_at(0.8)), requests, kPlan).has_value());
    EXPECT_FALSE(replay(ReplayedCascade(policy_at(0.8)), {}, kPlan).has_value());
}

TEST(Replay, TheSameSeedTellsTheSame) {
    const auto requests = traffic(200, 5);
    const ReplayedCascade policy(policy_at(0.8));
    const auto a = replay(policy, requests, kPlan);
    const auto b = replay(policy, requests, kPlan);
    ASSERT_TRUE(a.has_value() && b.has_value());
    EXPECT_EQ(a->saving->low, b->saving->low);
    EXPECT_EQ(a->quality_gain->high, b->quality_gain->high);
}

TEST(DoublyRobust, ChancesCorrectACurveThatIsWrong) {
    Chances chances(9);
    std::vector<PartlyKnown> rows;
    double truth = 0;
    double seen = 0;
    double known = 0;
    constexpr std::size_t kRows = 20'000;
    for (std::size_t i = 0; i < kRows; ++i) {
        // A value that falls and rises: no logistic curve has that form. The chance of knowing it has.
        const double signal = 4 * chances.uniform() - 2;
        const double value = signal * signal / 4;
        truth += value / kRows;
        PartlyKnown& row = rows.emplace_back();
        row.signal = row.known_by = signal;
        if (chances.uniform() < 1 / (1 + std::exp(-1.5 * (signal - 1)))) {
            row.value = value;
            seen += value;
            ++known;
        }
    }
    const auto estimated = doubly_robust(rows, 1);
    double mean = 0;
    for (const double one : estimated) mean += one / kRows;
    EXPECT_GT(std::abs(seen / known - truth), 0.05);
    EXPECT_NEAR(mean, truth, 0.015);
}

TEST(TableRecording, NamesTheModelsThatItHas) {
    OutcomeTable table;
    table.models.push_back({});
    table.models.back().model = "tiny";
    const std::vector<std::string> wanted{"small", "large"};
    const auto requests = recorded_requests(table, wanted);
    ASSERT_FALSE(requests.has_value());
    EXPECT_NE(requests.error().text().find("tiny"), std::string::npos);
}

}  // namespace
}  // namespace leeway::lab
