#include "methods/cascade/pacer.hpp"

#include "methods/cascade/hull.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace leeway::cascade {
namespace {

/// Plays requests whose cost is what a hull says, `scale` times over and noisy. Returns realised over target.
double play(double target, double first_scale, double second_scale, std::uint64_t seed) {
    const std::vector<CostQuality> points{{1e-5, .6}, {3e-5, .75}, {1e-4, .85}, {4e-4, .9}};
    const auto hull = upper_hull(points);
    Pacer pacer({.target = target}, lambda_at(points, hull, target));
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> noise(-0.125, 0.5);  // mean 1
    double spent = 0;
    constexpr int kRequests = 3000;
    for (int i = 0; i < kRequests; ++i) {
        const double scale = i < kRequests / 2 ? first_scale : second_scale;
        const double cost =
            points[hull[best_at(points, hull, pacer.lambda())]].cost * scale * noise(random);
        pacer.settle(cost);
        spent += cost;
    }
    EXPECT_NEAR(pacer.overspent(), spent - target * kRequests, 1e-9);
    return spent / (target * kRequests);
}

TEST(CascadePacer, HoldsTheTargetWhateverCostsReallyAre) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        for (const double target : {2e-5, 8e-5, 2e-4}) {
            EXPECT_NEAR(play(target, 1, 1, seed), 1, 0.02);
            EXPECT_NEAR(play(target, 1.4, 1.4, seed), 1, 0.02);  // costs were underestimated
            EXPECT_NEAR(play(target, 0.8, 1.8, seed), 1, 0.02);  // and drift
        }
    }
}

TEST(CascadePacer, AnAmpleBudgetTakesTheBest) {
    EXPECT_LT(play(1e-2, 1, 1, 1), 0.1);  // there is nothing dearer to buy
}

TEST(CascadeHardCap, IsNeverPassed) {
    HardCap cap(PicoUsd(1000));
    EXPECT_TRUE(cap.reserve(PicoUsd(600)));
    EXPECT_FALSE(cap.reserve(PicoUsd(500)));  // both could come to 1100
    EXPECT_TRUE(cap.reserve(PicoUsd(400)));
    EXPECT_EQ(cap.left(), PicoUsd(0));
    cap.settle(PicoUsd(600), PicoUsd(100));
    EXPECT_EQ(cap.left(), PicoUsd(500));
    cap.settle(PicoUsd(400), PicoUsd(400));
    EXPECT_EQ(cap.spent(), PicoUsd(500));
    EXPECT_FALSE(cap.reserve(PicoUsd(501)));
    EXPECT_FALSE(cap.reserve(PicoUsd(-1)));
    EXPECT_TRUE(cap.reserve(PicoUsd(500)));
    EXPECT_FALSE(HardCap(PicoUsd(10)).reserve(PicoUsd(std::numeric_limits<std::int64_t>::max())));
}

TEST(CascadeHardCap, HoldsUnderRandomTraffic) {
    std::mt19937_64 random(4);
    HardCap cap(PicoUsd(100'000));
    std::vector<std::int64_t> open;
    std::int64_t spent = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto worst = static_cast<std::int64_t>(random() % 500);
        if (cap.reserve(PicoUsd(worst))) open.push_back(worst);
        if (open.size() > 5 || (random() % 3 == 0 && !open.empty())) {
            const std::int64_t settled = open.back();
            open.pop_back();
            const auto cost =
                static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(settled + 1));
            cap.settle(PicoUsd(settled), PicoUsd(cost));
            spent += cost;
        }
        ASSERT_LE(spent, 100'000);
    }
    EXPECT_EQ(cap.spent(), PicoUsd(spent));
    EXPECT_GT(spent, 99'000);
}

}  // namespace
}  // namespace leeway::cascade
