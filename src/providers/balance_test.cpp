#include "providers/balance.hpp"

#include <gtest/gtest.h>

#include <array>

namespace leeway::providers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class BalanceTest : public testing::Test {
protected:
    std::size_t first(Balance balance, std::uint64_t seed) {
        return order(balance, candidates_, seed, now_).front();
    }
    void answer(std::size_t which, Duration took) {
        TargetLoad::Call(loads_[which], now_ - took).answered(now_);
    }
    TimePoint now_{std::chrono::hours(5)};
    std::array<TargetLoad, 3> loads_;
    std::vector<Candidate> candidates_{
        {3, 11, loads_.data()}, {1, 12, &loads_[1]}, {1, 13, &loads_[2]}};
};

TEST_F(BalanceTest, WeightsAreShares) {
    std::array<int, 3> counts{};
    for (std::uint64_t seed = 0; seed < 50'000; ++seed) ++counts[first(Balance::kWeighted, seed)];
    EXPECT_NEAR(counts[0], 30'000, 500);  // four standard deviations are 438
    EXPECT_NEAR(counts[1], 10'000, 400);
    EXPECT_NEAR(counts[2], 10'000, 400);
}

TEST_F(BalanceTest, StickySeedsStayAndOnlyThoseOfALostTargetMove) {
    const auto all = candidates_;
    int moved = 0;
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        candidates_ = all;
        const std::size_t before = first(Balance::kSticky, seed);
        EXPECT_EQ(first(Balance::kSticky, seed), before);
        const std::size_t next = order(Balance::kSticky, candidates_, seed, now_)[1];
        candidates_.pop_back();
        const std::size_t after = first(Balance::kSticky, seed);
        if (before != 2) {
            EXPECT_EQ(after, before);
        } else {
            EXPECT_EQ(after, next);
            ++moved;
        }
    }
    EXPECT_NEAR(moved, 2'000, 160);
}

TEST_F(BalanceTest, FewestPendingForTheWeight) {
    const TargetLoad::Call one(loads_[0], now_);
    for (std::uint64_t seed = 0; seed < 100; ++seed)
        EXPECT_EQ(first(Balance::kLeastPending, seed), 0U);
    const TargetLoad::Call two(loads_[0], now_);
    const TargetLoad::Call three(loads_[0], now_);  // 4/3 against 1
    std::array<int, 3> counts{};
    for (std::uint64_t seed = 0; seed < 100; ++seed) ++counts[first(Balance::kLeastPending, seed)];
    EXPECT_EQ(counts[0], 0);
    EXPECT_GT(counts[1], 20);
    EXPECT_GT(counts[2], 20);
}

TEST_F(BalanceTest, PeakEwmaAvoidsWhatIsSlowAndComesBack) {
    for (Candidate& candidate : candidates_) candidate.weight = 1;
    answer(0, milliseconds(100));
    answer(1, milliseconds(120));
    answer(2, milliseconds(110));
    EXPECT_EQ(first(Balance::kPeakEwma, 1), 0U);
    answer(0, seconds(2));  // one peak is enough
    EXPECT_EQ(first(Balance::kPeakEwma, 1), 2U);
    answer(0, milliseconds(10));
    EXPECT_EQ(first(Balance::kPeakEwma, 1), 2U);  // and is not forgotten at once
    for (int i = 0; i < 60; ++i) {
        now_ += seconds(1);
        answer(0, milliseconds(10));
        answer(1, milliseconds(120));
        answer(2, milliseconds(110));
    }
    EXPECT_EQ(first(Balance::kPeakEwma, 1), 0U);
    const double before = loads_[0].latency(now_);
    TargetLoad::Call(loads_[0], now_).failed(now_);
    EXPECT_NEAR(loads_[0].latency(now_), 2 * before, 1);
    {
        const TargetLoad::Call call(loads_[0], now_);
        EXPECT_EQ(loads_[0].pending(), 1U);
    }
    EXPECT_EQ(loads_[0].pending(), 0U);
}

}  // namespace
}  // namespace leeway::providers
