#include "methods/cascade/confidence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace leeway::cascade {
namespace {

TEST(CascadeConfidence, IsMinusTheLogOfDoubt) {
    EXPECT_NEAR(confidence_of(std::log(0.5)), std::log(2), 1e-12);
    EXPECT_NEAR(confidence_of(std::log(0.99)), -std::log(0.01), 1e-9);
    EXPECT_LT(confidence_of(-2e-7), confidence_of(0));
}

TEST(CascadeConfidence, WhatIsNoLogProbabilityIsTheLeast) {
    EXPECT_EQ(confidence_of(-std::numeric_limits<double>::infinity()), 0);
    EXPECT_EQ(confidence_of(std::numeric_limits<double>::quiet_NaN()), 0);
    EXPECT_EQ(confidence_of(1e-9), confidence_of(0));
    EXPECT_NEAR(confidence_of(0), -std::log(1e-7), 1e-9);
    EXPECT_GE(confidence_of(-1e300), 0);
}

TEST(CascadeConfidence, TiesAreBrokenByTheSecondSignal) {
    EXPECT_GT((Score{1, 0}), (Score{0.5, 9}));
    EXPECT_GT((Score{1, -3}), (Score{1, -4}));
}

TEST(CascadePlatt, FindsTheLogisticThatMadeTheRows) {
    std::mt19937_64 random(3);
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<double> confidence;
    std::vector<double> quality;
    for (int i = 0; i < 20000; ++i) {
        confidence.push_back(4 * uniform(random));
        const double p = 1 / (1 + std::exp(-(-1 + 1.5 * confidence.back())));
        quality.push_back(uniform(random) < p ? 1 : 0);
    }
    const Platt fitted = fit_platt(confidence, quality);
    for (const double x : {0.5, 2.0, 3.5})
        EXPECT_NEAR(fitted.probability(x), 1 / (1 + std::exp(-(-1 + 1.5 * x))), 0.02);
}

TEST(CascadePlatt, ConstantQualityAndConfidenceDoNotRunOff) {
    const std::vector<double> confidence{1, 2, 3, 4, 5, 6, 7, 8};
    const std::vector<double> right(8, 1.0);
    const std::vector<double> same(8, 3.0);
    const double p = fit_platt(confidence, right).probability(4);
    EXPECT_GT(p, 0.95);
    EXPECT_LT(p, 1);
    EXPECT_TRUE(std::isfinite(fit_platt(same, right).probability(100)));
    EXPECT_EQ(fit_platt({}, {}).probability(1), 0.5);
}

TEST(CascadePlatt, SmallClustersHaveTheSlopeOfThePoolAndTheirOwnLevel) {
    std::mt19937_64 random(5);
    std::uniform_real_distribution<double> uniform(0, 1);
    const auto logistic = [](double x) {
        return 1 / (1 + std::exp(-x));
    };
    struct Rows {
        std::vector<double> confidence;
        std::vector<double> quality;
    };
    const auto drawn = [&](int count, double level) {
        Rows out;
        for (int i = 0; i < count; ++i) {
            out.confidence.push_back(4 * uniform(random));
            const double p = logistic(level + 1.5 * out.confidence.back());
            out.quality.push_back(uniform(random) < p ? 1 : 0);
        }
        return out;
    };
    const Rows all = drawn(4000, -2);
    const Platt pool = fit_platt(all.confidence, all.quality);
    double towards = 0;
    double alone = 0;
    constexpr int kTimes = 100;
    for (int i = 0; i < kTimes; ++i) {
        const Rows few = drawn(30, -4);  // a harder task
        const Platt near = fit_platt_towards(pool, few.confidence, few.quality);
        const Platt own = fit_platt(few.confidence, few.quality);
        for (const double x : {0.5, 2.0, 3.5}) {
            const double truth = logistic(-4 + 1.5 * x);
            towards += std::abs(near.probability(x) - truth) / (3 * kTimes);
            alone += std::abs(own.probability(x) - truth) / (3 * kTimes);
        }
    }
    EXPECT_LT(towards, alone);
    EXPECT_LT(towards, 0.08);
    EXPECT_EQ(fit_platt_towards(pool, {}, {}).probability(2), pool.probability(2));
    const Rows many = drawn(8000, -4);
    EXPECT_NEAR(fit_platt_towards(pool, many.confidence, many.quality).probability(2), logistic(-1),
                0.03);
}

TEST(CascadeIsotonic, PoolsAdjacentViolators) {
    const std::vector<double> confidence{1, 2, 3, 4};
    const std::vector<double> quality{0, 1, 0, 1};
    const Isotonic fitted = Isotonic::fit(confidence, quality);
    EXPECT_EQ(fitted.probability(0), 0);
    EXPECT_EQ(fitted.probability(1), 0);
    EXPECT_EQ(fitted.probability(2.5), 0.5);  // rows 2 and 3 are one step at their mean
    EXPECT_EQ(fitted.probability(4), 1);
    EXPECT_EQ(fitted.probability(3.25), 0.75);
    EXPECT_EQ(Isotonic::fit({}, {}).probability(1), 0.5);
}

TEST(CascadeIsotonic, RowsOfOneConfidenceAreOneStep) {
    const std::vector<double> confidence{5, 5, 5, 5, 1};
    const std::vector<double> quality{1, 1, 1, 0, 0};
    EXPECT_EQ(Isotonic::fit(confidence, quality).probability(5), 0.75);
}

}  // namespace
}  // namespace leeway::cascade
