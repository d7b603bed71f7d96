#include "providers/retry.hpp"

#include "providers/breaker.hpp"

#include <gtest/gtest.h>

#include <random>
#include <thread>

namespace leeway::providers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

net::ResponseHead answer(int status, std::string_view name = {}, std::string_view value = {}) {
    net::ResponseHead head;
    head.status = status;
    if (!name.empty()) head.fields.add(name, value);
    return head;
}

TEST(Hope, IsByWhoseFaultItIs) {
    for (const int status : {408, 409, 429, 500, 502, 503, 504, 529})
        EXPECT_EQ(hope_of(answer(status)), Hope::kAgain) << status;
    for (const int status : {401, 402, 403})
        EXPECT_EQ(hope_of(answer(status)), Hope::kElsewhere) << status;
    for (const int status : {200, 304, 400, 404, 413, 422})
        EXPECT_EQ(hope_of(answer(status)), Hope::kNone) << status;
    EXPECT_EQ(hope_of(answer(503, "X-Should-Retry", "false")), Hope::kElsewhere);
    EXPECT_EQ(hope_of(answer(503, "X-Should-Retry", "true")), Hope::kAgain);
    EXPECT_EQ(hope_of(answer(400, "X-Should-Retry", "true")), Hope::kNone);
}

std::optional<Duration> told(std::string_view name, std::string_view value) {
    return told_wait(answer(429, name, value).fields, 1'445'412'470);  // ten seconds before
}

TEST(ToldWait, ReadsAllThreeForms) {
    EXPECT_EQ(told("retry-after-ms", "250"), Duration(milliseconds(250)));
    EXPECT_EQ(told("Retry-After", "7"), Duration(seconds(7)));
    EXPECT_EQ(told("retry-after", "1.5"), Duration(milliseconds(1501)));
    EXPECT_EQ(told("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Duration(seconds(10)));
    EXPECT_EQ(told("retry-after", "Wed, 21 Oct 2014 07:28:00 GMT"), Duration(0));
    for (const std::string_view bad : {"", "soon", "-1", "1.x", "99999999999999999999999"})
        EXPECT_FALSE(told("retry-after", bad)) << bad;
    EXPECT_EQ(told("retry-after", "99999999999999"), Duration(seconds(365 * 86'400)));
    EXPECT_FALSE(told("x-other", "3"));
}

TEST(Backoff, DoublesUpToTheCapAndIsDrawn) {
    const RetryPolicy policy;
    EXPECT_EQ(backoff(policy, 0, 0), Duration(milliseconds(100)));
    EXPECT_EQ(backoff(policy, 1, 0), Duration(milliseconds(200)));
    EXPECT_EQ(backoff(policy, 3, 0), Duration(milliseconds(800)));
    EXPECT_EQ(backoff(policy, 60, 0), Duration(milliseconds(2500)));
    Duration sum{};
    for (std::uint64_t random = 0; random < 1024; ++random) {
        const Duration wait = backoff(policy, 0, random);
        EXPECT_GE(wait, milliseconds(100));
        EXPECT_LT(wait, milliseconds(200));
        sum += wait;
    }
    EXPECT_NEAR(static_cast<double>((sum / 1024).count()), 150e6, 1e5);
}

TEST(RetryBudget, IsAFifthOfTheRequests) {
    RetryBudget budget;
    int taken = 0;
    while (budget.take()) ++taken;
    EXPECT_EQ(taken, 10);
    for (int i = 0; i < 1000; ++i) {
        budget.request();
        taken += budget.take() ? 1 : 0;
    }
    EXPECT_EQ(taken, 210);
    for (int i = 0; i < 1000; ++i) budget.request();
    for (taken = 0; budget.take();) ++taken;
    EXPECT_EQ(taken, 10);  // a quiet time saves up no storm
}

class BreakerTest : public testing::Test {
protected:
    bool call(bool ok) {
        auto pass = breaker_.admit(now_);
        if (!pass) return false;
        ok ? pass->succeeded(now_) : pass->failed(now_);
        return true;
    }
    TimePoint now_{std::chrono::hours(5)};
    Breaker breaker_{{3, 5'000, seconds(10), seconds(2)}};
};

TEST_F(BreakerTest, OpensAfterFailuresInARowAndLetsOneProbeThrough) {
    EXPECT_TRUE(call(false) && call(false) && call(true) && call(false) && call(false));
    EXPECT_EQ(breaker_.state(), Breaker::State::kClosed);
    EXPECT_TRUE(call(false));
    EXPECT_EQ(breaker_.state(), Breaker::State::kOpen);
    EXPECT_EQ(breaker_.opened(), 1U);
    EXPECT_EQ(breaker_.wait(now_), Duration(seconds(2)));
    now_ += milliseconds(1999);
    EXPECT_FALSE(call(true));
    now_ += milliseconds(1);
    {
        auto probe = breaker_.admit(now_);
        ASSERT_TRUE(probe);
        EXPECT_EQ(breaker_.state(), Breaker::State::kHalfOpen);
        EXPECT_FALSE(breaker_.admit(now_));
        probe->failed(now_);
    }
    EXPECT_EQ(breaker_.state(), Breaker::State::kOpen);
    EXPECT_EQ(breaker_.opened(), 2U);
    EXPECT_FALSE(call(true));
    now_ += seconds(2);
    EXPECT_TRUE(call(true));
    EXPECT_EQ(breaker_.state(), Breaker::State::kClosed);
    EXPECT_TRUE(call(false) && call(false) && call(true));  // what was before is forgotten
}

TEST_F(BreakerTest, AProbeThatTellsNothingMakesRoomForAnother) {
    EXPECT_TRUE(call(false) && call(false) && call(false));
    now_ += seconds(2);
    {
        auto probe = breaker_.admit(now_);
    }
    EXPECT_EQ(breaker_.state(), Breaker::State::kOpen);
    EXPECT_TRUE(call(true));
    EXPECT_EQ(breaker_.state(), Breaker::State::kClosed);
}

TEST_F(BreakerTest, OldCallsDecideNothing) {
    auto old = breaker_.admit(now_);
    auto older = breaker_.admit(now_);
    EXPECT_TRUE(call(false) && call(false) && call(false));
    old->succeeded(now_);
    EXPECT_EQ(breaker_.state(), Breaker::State::kOpen);
    older->failed(now_);
    EXPECT_EQ(breaker_.opened(), 1U);
}

TEST_F(BreakerTest, OpensOnTheShareOfFailuresInTheWindow) {
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(call(true) && call(false));
    EXPECT_TRUE(call(true));  // 9 of 19
    EXPECT_EQ(breaker_.state(), Breaker::State::kClosed);
    now_ += seconds(4);
    EXPECT_TRUE(call(false));  // 10 of 20
    EXPECT_EQ(breaker_.state(), Breaker::State::kOpen);
    now_ += seconds(2);
    EXPECT_TRUE(call(true));
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(call(true) && call(false));
    now_ += seconds(11);  // the window has moved on
    EXPECT_TRUE(call(true) && call(false));
    EXPECT_EQ(breaker_.state(), Breaker::State::kClosed);
}

TEST(BreakerBook, KeepsABreakerWhileItsRuleStays) {
    BreakerBook book;
    const auto first = book.get("openai", "gpt-4o", "gpt-4o", {});
    EXPECT_EQ(book.get("openai", "gpt-4o", "gpt-4o", {}), first);
    EXPECT_NE(book.get("openai", "gpt-4o", "cheap", {}), first);
    BreakerSpec other;
    other.failures = 1;
    const auto second = book.get("openai", "gpt-4o", "gpt-4o", other);
    EXPECT_NE(second, first);
    EXPECT_EQ(book.standings().size(), 1U);  // `cheap` is used by nobody
}

TEST(Breaker, WithoutARuleItNeverOpens) {
    const TimePoint now{std::chrono::hours(5)};
    Breaker breaker({0, 5'000, seconds(10), seconds(1)});
    for (int i = 0; i < 100; ++i) {
        auto pass = breaker.admit(now);
        ASSERT_TRUE(pass);
        pass->failed(now);
    }
    EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
}

TEST(Breaker, SlowAnswersOpenItToo) {
    const TimePoint now{std::chrono::hours(5)};
    BreakerSpec spec{3, 10'000, seconds(10), seconds(1)};
    spec.slow = milliseconds(500);
    Breaker breaker(spec);
    for (int i = 0; i < 5; ++i) breaker.admit(now)->answered(milliseconds(500), now);
    for (int i = 0; i < 2; ++i) breaker.admit(now)->answered(milliseconds(501), now);
    EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
    breaker.admit(now)->answered(milliseconds(501), now);
    EXPECT_EQ(breaker.state(), Breaker::State::kOpen);
}

TEST(Breaker, KnowsByWhenNineteenOfTwentyAnswersHaveBegun) {
    Breaker breaker({});
    std::mt19937 random(7);
    std::exponential_distribution<double> times(1.0 / 200);  // in ms; 95 % are below 599
    for (int i = 0; i < 19; ++i) breaker.note_first_byte(milliseconds(200));
    EXPECT_FALSE(breaker.first_byte_p95());
    for (int i = 0; i < 5'000; ++i)
        breaker.note_first_byte(std::chrono::microseconds(static_cast<int>(times(random) * 1000)));
    double sum_ms = 0;
    for (int i = 0; i < 5'000; ++i) {
        breaker.note_first_byte(std::chrono::microseconds(static_cast<int>(times(random) * 1000)));
        sum_ms += std::chrono::duration<double, std::milli>(*breaker.first_byte_p95()).count();
    }
    EXPECT_NEAR(sum_ms / 5'000, 599, 90);
}

TEST(Breaker, LetsSoManyThroughAtATime) {
    const TimePoint now{std::chrono::hours(5)};
    BreakerSpec spec;
    spec.parallel = 2;
    Breaker breaker(spec);
    auto first = breaker.admit(now);
    std::optional<Breaker::Pass> second;
    {
        auto passing = breaker.admit(now);  // a pass that moves is still one
        ASSERT_TRUE(passing);
        second.emplace(std::move(*passing));
    }
    second->succeeded(now);  // it has begun to answer, and is still at it
    auto bar = Breaker::Bar::kNone;
    EXPECT_FALSE(breaker.admit(now, &bar));
    EXPECT_EQ(bar, Breaker::Bar::kFull);
    second.reset();
    EXPECT_TRUE(breaker.admit(now));
    EXPECT_TRUE(breaker.admit(now)) << "the one before is over";
}

TEST(Breaker, IsLeftAloneAsLongAsTheProviderWishes) {
    const TimePoint now{std::chrono::hours(5)};
    Breaker breaker({});
    breaker.hold(now + seconds(3));
    breaker.hold(now + seconds(1));  // the latest counts
    auto bar = Breaker::Bar::kNone;
    EXPECT_FALSE(breaker.admit(now + milliseconds(2'999), &bar));
    EXPECT_EQ(bar, Breaker::Bar::kHeld);
    EXPECT_EQ(breaker.wait(now), Duration(seconds(3)));
    EXPECT_EQ(breaker.state(), Breaker::State::kClosed);
    EXPECT_TRUE(breaker.admit(now + seconds(3)));
    EXPECT_TRUE(breaker.admit(now + seconds(3))) << "it is no probe: all may go on";
}

TEST(Breaker, LetsOneOfManyThreadsProbe) {
    const TimePoint start{std::chrono::hours(5)};
    Breaker breaker({1, 10'000, seconds(10), seconds(1)});
    breaker.admit(start)->failed(start);
    std::atomic<int> probes{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 1000; ++round) {
                auto pass = breaker.admit(start + seconds(2));
                if (!pass) continue;
                probes.fetch_add(1);
                pass->failed(start + seconds(2));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(probes.load(), 1);
}

}  // namespace
}  // namespace leeway::providers
