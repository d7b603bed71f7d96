#include "guard/limits/limit_book.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace leeway::limits {
namespace {

using budget::Scope;
using budget::ScopeKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(std::chrono::hours(1000));
const Scope kWeb{ScopeKind::kKey, "web"};
const Scope kAll{ScopeKind::kGlobal, ""};

LimitSpec spec(std::string name, ScopeKind scope, std::string match, std::int64_t requests,
               std::int64_t tokens = 0, std::int64_t parallel = 0) {
    return {std::move(name), scope, std::move(match), requests, tokens, parallel};
}

/// Admits one request and lets it end at once; its tokens stay taken.
std::optional<LimitRefusal> ask(LimitBook& book, std::vector<Scope> scopes, TimePoint now,
                                std::int64_t tokens = -1) {
    LimitTicket ticket;
    LimitView view;
    return book.admit(scopes, {true, tokens}, now, ticket, view);
}

TEST(TokenBucket, GivesAMinutesWorthAtOnceThenEvenlyAndExactly) {
    TokenBucket bucket;
    for (int i = 0; i < 60; ++i) {
        EXPECT_EQ(bucket.wait(1, 60, kStart), Duration::zero());
        bucket.take(1, 60, kStart);
    }
    EXPECT_EQ(bucket.wait(1, 60, kStart), seconds(1));
    EXPECT_EQ(bucket.wait(1, 60, kStart + milliseconds(999)), milliseconds(1));
    EXPECT_EQ(bucket.wait(1, 60, kStart + seconds(1)), Duration::zero());
    EXPECT_EQ(bucket.left(60, kStart + milliseconds(2500)), 2);
    EXPECT_EQ(bucket.full_in(60, kStart + milliseconds(2500)), milliseconds(57'500));
    EXPECT_EQ(bucket.wait(61, 60, kStart), Duration::max());
    // 7 a minute do not divide a minute's nanoseconds: over a year not one more or less comes.
    TokenBucket odd;
    std::int64_t taken = 0;
    for (int day = 0; day < 365; ++day) {
        for (int i = 0; i < 1440; ++i) {
            const TimePoint now = kStart + std::chrono::hours(24 * day) + std::chrono::minutes(i);
            while (odd.wait(1, 7, now) == Duration::zero()) {
                odd.take(1, 7, now);
                ++taken;
            }
        }
    }
    EXPECT_EQ(taken, 7 * 1440 * 365);
}

TEST(TokenBucket, ADebtIsPaidOffAndAClockThatGoesBackGivesNothing) {
    TokenBucket bucket;
    bucket.take(150, 100, kStart);
    EXPECT_EQ(bucket.left(100, kStart), 0);
    EXPECT_EQ(bucket.wait(100, 100, kStart), seconds(90));
    EXPECT_EQ(bucket.wait(100, 100, kStart - std::chrono::hours(5)), seconds(90));
    bucket.take(-150, 100, kStart);
    EXPECT_EQ(bucket.left(100, kStart), 100);
    bucket.take(-1000, 100, kStart);
    EXPECT_EQ(bucket.left(100, kStart), 100) << "nobody saves up more than a minute";
}

TEST(TokenBucket, WritesTimesAsOpenAiDoes) {
    EXPECT_EQ(reset_text(Duration::zero()), "0s");
    EXPECT_EQ(reset_text(milliseconds(120)), "120ms");
    EXPECT_EQ(reset_text(milliseconds(8640)), "8.64s");
    EXPECT_EQ(reset_text(seconds(60)), "1m0s");
    EXPECT_EQ(reset_text(milliseconds(361'500)), "6m1.5s");
    EXPECT_EQ(retry_after_seconds(milliseconds(1)), 1);
    EXPECT_EQ(retry_after_seconds(milliseconds(1001)), 2);
}

TEST(LimitBook, TakesFromAllThatApplyOrFromNone) {
    LimitBook book;
    EXPECT_TRUE(book.empty());
    book.configure({spec("all", ScopeKind::kGlobal, "", 3), spec("web", ScopeKind::kKey, "web", 2),
                    spec("each", ScopeKind::kUser, "", 1)});
    EXPECT_FALSE(ask(book, {kAll, kWeb}, kStart));
    EXPECT_FALSE(ask(book, {kAll, kWeb}, kStart));
    const auto refused = ask(book, {kAll, kWeb}, kStart);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->limit, "web");
    EXPECT_EQ(refused->scope, kWeb);
    EXPECT_EQ(refused->wait, seconds(30));
    EXPECT_EQ(refused->left, 0);
    // Nothing was taken from "all".
    EXPECT_FALSE(ask(book, {kAll, {ScopeKind::kKey, "other"}}, kStart));
    const auto full = ask(book, {kAll}, kStart);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->limit, "all");
    // Every user has the limit for itself.
    EXPECT_FALSE(ask(book, {{ScopeKind::kUser, "ada"}}, kStart));
    EXPECT_FALSE(ask(book, {{ScopeKind::kUser, "grace"}}, kStart));
    EXPECT_TRUE(ask(book, {{ScopeKind::kUser, "ada"}}, kStart));
}

TEST(LimitBook, TokensAreSetRightWhenTheyAreKnown) {
    LimitBook book;
    book.configure({spec("web", ScopeKind::kKey, "web", 0, 1000)});
    LimitTicket ticket;
    LimitView view;
    const Scope scopes[] = {kWeb};
    EXPECT_FALSE(book.admit(scopes, {false, 900}, kStart, ticket, view));
    EXPECT_EQ(view.tokens.most, 1000);
    EXPECT_EQ(view.tokens.left, 100);
    EXPECT_EQ(view.requests.most, 0);
    EXPECT_TRUE(ask(book, {kWeb}, kStart, 200));
    ticket.settle(100, kStart);
    EXPECT_FALSE(ask(book, {kWeb}, kStart, 900));
    ticket.settle(1100, kStart);  // more than thought: the others wait
    const auto refused = ask(book, {kWeb}, kStart, 1);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->measure, Measure::kTokens);
    EXPECT_EQ(refused->wait, milliseconds(60'060));
    EXPECT_EQ(ask(book, {kWeb}, kStart, 1001)->wait, Duration::max());
}

TEST(LimitBook, ParallelOnesGiveTheirPlaceBack) {
    LimitBook book;
    book.configure({spec("web", ScopeKind::kKey, "web", 0, 0, 2)});
    const Scope scopes[] = {kWeb};
    LimitView view;
    {
        LimitTicket first;
        LimitTicket second;
        LimitTicket third;
        EXPECT_FALSE(book.admit(scopes, {true, -1}, kStart, first, view));
        EXPECT_FALSE(book.admit(scopes, {true, -1}, kStart, second, view));
        const auto refused = book.admit(scopes, {true, -1}, kStart, third, view);
        ASSERT_TRUE(refused);
        EXPECT_EQ(refused->measure, Measure::kParallel);
        first.release();
        EXPECT_FALSE(book.admit(scopes, {true, -1}, kStart, third, view));
    }
    LimitTicket last;
    EXPECT_FALSE(book.admit(scopes, {true, -1}, kStart, last, view));
    EXPECT_FALSE(view.any()) << "there are no headers for these";
}

TEST(LimitBook, AReloadForgetsNothingAndATicketOutlivesItsLimit) {
    LimitBook book;
    book.configure({spec("web", ScopeKind::kKey, "web", 2, 100, 1)});
    LimitTicket running;
    LimitView view;
    const Scope scopes[] = {kWeb};
    EXPECT_FALSE(book.admit(scopes, {true, 50}, kStart, running, view));
    book.configure(
        {spec("new", ScopeKind::kGlobal, "", 9), spec("web", ScopeKind::kKey, "web", 2, 100, 2)});
    EXPECT_FALSE(ask(book, {kWeb}, kStart, 50));
    EXPECT_TRUE(ask(book, {kWeb}, kStart)) << "two requests a minute were used";
    book.configure({spec("web", ScopeKind::kKey, "web", 1000, 100, 2)});
    EXPECT_FALSE(ask(book, {kWeb}, kStart));
    EXPECT_TRUE(ask(book, {kWeb}, kStart, 1));
    book.configure({});
    EXPECT_TRUE(book.empty());
    running.settle(7, kStart);
    running.release();
}

TEST(LimitBook, AdmitsExactlyTheLimitFromManyThreads) {
    LimitBook book;
    book.configure({spec("all", ScopeKind::kGlobal, "", 500)});
    std::atomic<int> admitted{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                if (!ask(book, {kAll}, kStart)) ++admitted;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(admitted.load(), 500);
}

TEST(LimitBook, ManyUsersDoNotPileUp) {
    LimitBook book;
    book.configure({spec("each", ScopeKind::kUser, "", 60)});
    for (int i = 0; i < 20'000; ++i) {
        const TimePoint now = kStart + seconds(i);
        EXPECT_FALSE(ask(book, {{ScopeKind::kUser, "u" + std::to_string(i)}}, now));
    }
    EXPECT_FALSE(ask(book, {{ScopeKind::kUser, "u19999"}}, kStart + seconds(20'000)));
}

}  // namespace
}  // namespace leeway::limits
