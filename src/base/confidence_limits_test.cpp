#include "base/confidence_limits.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace leeway {
namespace {

TEST(ConfidenceLimits, ClopperPearson) {
    EXPECT_NEAR(upper_limit(0, 299, 0.95), 0.00997, 1e-4);
    EXPECT_NEAR(upper_limit(5, 100, 0.95), 0.10225,
                1e-4);  // R: binom.test(5, 100, alternative = "less")
    EXPECT_NEAR(incomplete_beta(2, 3, 0.4), 0.5248, 1e-9);
    EXPECT_EQ(upper_limit(0, 0, 0.95), 1);
    EXPECT_FALSE(shows_at_most(0.01, 0, 298, 0.95));
    EXPECT_TRUE(shows_at_most(0.01, 0, 299, 0.95));
}

TEST(ConfidenceLimits, AnIntervalHoldsAtAllTimes) {
    int missed = 0;
    for (int seed = 0; seed < 100; ++seed) {
        std::mt19937_64 random(static_cast<std::uint64_t>(seed));
        std::bernoulli_distribution coin(0.03);
        MeanInterval interval(0.95);
        bool held = true;
        for (int i = 0; i < 3000; ++i) {
            interval.add(coin(random) ? 1 : 0);
            held = held && interval.low() <= 0.03 && interval.high() >= 0.03;
        }
        missed += held ? 0 : 1;
        EXPECT_LT(interval.high(), 0.06);
    }
    EXPECT_LE(missed, 5);
}

}  // namespace
}  // namespace leeway
