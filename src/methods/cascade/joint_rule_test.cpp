#include "methods/cascade/joint_rule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace leeway::cascade {
namespace {

TEST(CascadeJointRule, ClosedFormAgreesWithDraws) {
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    for (const double correlation : {0.0, 0.6, -0.4}) {
        const Belief now{0.7, 0.2};
        const Belief other{0.75, 0.1};
        double sum = 0;
        constexpr int kDraws = 400'000;
        for (int i = 0; i < kDraws; ++i) {
            const double x = normal(random);
            const double y =
                correlation * x + std::sqrt(1 - correlation * correlation) * normal(random);
            const double a = now.mean + now.deviation * x;
            sum += std::max(a, other.mean + other.deviation * y) - a;
        }
        EXPECT_NEAR(expected_gain(now, other, correlation), sum / kDraws, 1e-3);
    }
    // Known values: no spread is the difference; equal means give spread / sqrt(2 pi).
    EXPECT_EQ(expected_gain({0.5, 0}, {0.7, 0}, 0), 0.7 - 0.5);
    EXPECT_EQ(expected_gain({0.7, 0}, {0.5, 0}, 0), 0);
    EXPECT_NEAR(expected_gain({0.5, 0.3}, {0.5, 0.4}, 0), 0.5 / std::sqrt(2 * M_PI), 1e-12);
    EXPECT_EQ(expected_gain({0.6, 0.2}, {0.6, 0.2}, 1), 0);
}

TEST(CascadeJointRule, CheckedAnswers) {
    EXPECT_NEAR(expected_gain_checked(0.7, 0.8, 0), 0.3 * 0.8, 1e-12);
    EXPECT_NEAR(expected_gain_checked(0.7, 0.8, 1), 0.8 - 0.7, 1e-12);  // right wherever now is
    EXPECT_NEAR(expected_gain_checked(0.7, 0.8, -1), 0.3, 1e-12);  // right wherever now is not
    EXPECT_EQ(expected_gain_checked(1, 0.8, 0), 0);
    EXPECT_EQ(expected_gain_checked(0, 0.8, 0), 0.8);
}

TEST(CascadeJointRule, StopsWhenNothingIsWorthItsPrice) {
    const std::array<NextModel, 2> models{NextModel{{0.7, 0.1}, 0, 1e-4, 0},
                                          NextModel{{0.9, 0.1}, 0, 1e-3, 0}};
    // Before the first call; money is cheap, dear, too dear.
    EXPECT_EQ(next_model({}, models, 10), 1U);
    EXPECT_EQ(next_model({}, models, 1000), 0U);
    EXPECT_EQ(next_model({}, models, 1e4), std::nullopt);
    // A sure answer is kept, an unsure one is not.
    EXPECT_EQ(next_model({0.95, 0.02}, models, 100), std::nullopt);
    EXPECT_EQ(next_model({0.4, 0.1}, models, 100), 1U);
    // The lost prompt cache counts.
    auto sticky = models;
    sticky[1].switch_cost = 0.02;
    EXPECT_EQ(next_model({0.6, 0.05}, sticky, 100), 0U);
    EXPECT_EQ(next_model({0.8, 0.0}, sticky, 100), std::nullopt);
    EXPECT_EQ(next_model({}, {}, 0), std::nullopt);
}

}  // namespace
}  // namespace leeway::cascade
