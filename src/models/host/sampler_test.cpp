#include "models/host/sampler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace leeway::models {
namespace {

constexpr std::array<float, 5> kLogits{1.0F, 3.0F, 2.0F, -1.0F, 2.5F};

std::int32_t sample_once(Sampler& sampler) {
    auto logits = kLogits;
    return sampler.sample(logits);
}

std::set<std::int32_t> drawn(const Sampling& options, int draws = 4000) {
    Sampler sampler(options, 7);
    std::set<std::int32_t> tokens;
    for (int i = 0; i < draws; ++i) tokens.insert(sample_once(sampler));
    return tokens;
}

TEST(Sampler, TakesTheLikeliestTokenAtTemperatureZero) {
    EXPECT_EQ(drawn({.temperature = 0}, 10), std::set<std::int32_t>{1});
}

TEST(Sampler, DrawsInProportionToTheSoftmax) {
    Sampler sampler({.temperature = 1}, 11);
    std::array<int, 5> counts{};
    constexpr int kDraws = 40000;
    for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sample_once(sampler))];
    const float total = log_sum_exp(kLogits);
    for (std::size_t i = 0; i < kLogits.size(); ++i) {
        // Six standard deviations of a draw: fails by chance once in 10^8.
        EXPECT_NEAR(counts[i] / double{kDraws}, std::exp(kLogits[i] - total), 0.015) << i;
    }
}

TEST(Sampler, RepeatsItsDrawsForTheSameSeed) {
    Sampler first({.temperature = 1.5F}, 42);
    Sampler second({.temperature = 1.5F}, 42);
    Sampler other({.temperature = 1.5F}, 43);
    std::vector<std::int32_t> a;
    std::vector<std::int32_t> b;
    std::vector<std::int32_t> c;
    for (int i = 0; i < 64; ++i) {
        a.push_back(sample_once(first));
        b.push_back(sample_once(second));
        c.push_back(sample_once(other));
    }
    EXPECT_EQ(a, b);
    EXPECT_NE(a, c);
}

TEST(Sampler, KeepsToTopKTopPAndMinP) {
    EXPECT_EQ(drawn({.temperature = 1, .top_k = 2}), (std::set<std::int32_t>{1, 4}));
    // Shares are 0.45, 0.27, 0.17, 0.06, 0.008: the first two reach 0.7.
    EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.7F}), (std::set<std::int32_t>{1, 4}));
    EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.01F}), std::set<std::int32_t>{1});
    EXPECT_EQ(drawn({.temperature = 1, .min_p = 0.3F}), (std::set<std::int32_t>{1, 2, 4}));
    EXPECT_EQ(drawn({.temperature = 1, .top_p = 0.99F, .min_p = 0.5F}),
              (std::set<std::int32_t>{1, 4}));
}

TEST(Sampler, AppliesBiasAndPenalties) {
    EXPECT_EQ(drawn({.temperature = 0, .logit_bias = {{1, -100.0F}}}, 3),
              std::set<std::int32_t>{4});
    Sampler sampler({.temperature = 0, .presence_penalty = 1.0F}, 1);
    EXPECT_EQ(sample_once(sampler), 1);  // 3.0 falls to 2.0
    EXPECT_EQ(sample_once(sampler), 4);  // 2.5 falls to 1.5
    EXPECT_EQ(sample_once(sampler), 1);  // the first of equals, still 2.0
}

TEST(Sampler, FindsTheLargestInOrder) {
    const auto top = largest(kLogits, 3);
    ASSERT_EQ(top.size(), 3U);
    EXPECT_EQ(top[0].first, 1);
    EXPECT_EQ(top[1].first, 4);
    EXPECT_EQ(top[2].first, 2);
    EXPECT_EQ(largest(kLogits, 99).size(), kLogits.size());
    EXPECT_TRUE(largest(kLogits, 0).empty());
}

}  // namespace
}  // namespace leeway::models
