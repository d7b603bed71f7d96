#include "guard/auth/rate_limiter.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace leeway::guard::auth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(std::chrono::hours(1000));

TEST(RateBucket, AdmitsAMinutesWorthAtOnceThenEvenly) {
    RateBucket bucket;
    for (int i = 0; i < 60; ++i) EXPECT_EQ(bucket.try_take(60, kStart), Duration::zero());
    EXPECT_EQ(bucket.try_take(60, kStart), seconds(1));
    EXPECT_EQ(bucket.try_take(60, kStart + milliseconds(999)), milliseconds(1));
    EXPECT_EQ(bucket.try_take(60, kStart + seconds(1)), Duration::zero());
    EXPECT_NE(bucket.try_take(60, kStart + seconds(1)), Duration::zero());
}

TEST(RateBucket, RefusedRequestsCostNothing) {
    RateBucket bucket;
    EXPECT_EQ(bucket.try_take(1, kStart), Duration::zero());
    for (int i = 0; i < 100; ++i) EXPECT_EQ(bucket.try_take(1, kStart), seconds(60));
    EXPECT_EQ(bucket.try_take(1, kStart + seconds(60)), Duration::zero());
}

TEST(RateBucket, AnIdleKeySavesUpNoMoreThanAMinute) {
    RateBucket bucket;
    EXPECT_EQ(bucket.try_take(3, kStart), Duration::zero());
    const TimePoint later = kStart + std::chrono::hours(24);
    int admitted = 0;
    while (bucket.try_take(3, later) == Duration::zero()) ++admitted;
    EXPECT_EQ(admitted, 3);
}

TEST(RateBucket, ZeroMeansNoLimit) {
    RateBucket bucket;
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(bucket.try_take(0, kStart), Duration::zero());
}

TEST(RateBucket, AdmitsExactlyTheLimitFromManyThreads) {
    RateBucket bucket;
    std::atomic<int> admitted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                if (bucket.try_take(500, kStart) == Duration::zero()) ++admitted;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(admitted.load(), 500);
}

TEST(RateLimiter, RemembersAKeyByItsName) {
    RateLimiter limiter;
    EXPECT_EQ(limiter.bucket("web").try_take(1, kStart), Duration::zero());
    EXPECT_NE(limiter.bucket("web").try_take(1, kStart), Duration::zero());
    EXPECT_EQ(limiter.bucket("other").try_take(1, kStart), Duration::zero());
}

TEST(RateLimiter, RetryAfterIsInWholeSecondsAndNeverZero) {
    EXPECT_EQ(retry_after_seconds(milliseconds(1)), 1);
    EXPECT_EQ(retry_after_seconds(seconds(1)), 1);
    EXPECT_EQ(retry_after_seconds(milliseconds(1001)), 2);
}

}  // namespace
}  // namespace leeway::guard::auth
