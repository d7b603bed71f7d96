#include "guard/budget/lease_keeper.hpp"
#include "guard/budget/postgres_lease.hpp"
#include "ledger/ledger.hpp"
#include "ledger/postgres_testing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace leeway::budget {
namespace {

using ledger::testing::PostgresServer;

constexpr std::int64_t kNow = 1'800'000'000;
const std::vector<Scope> kScopes{{ScopeKind::kGlobal, {}},
                                 {ScopeKind::kTeam, "travel"},
                                 {ScopeKind::kKey, "web"},
                                 {ScopeKind::kUser, "ada"}};

BudgetSpec spec(std::string name, ScopeKind scope, std::int64_t limit, bool rolling = false) {
    BudgetSpec out;
    out.name = std::move(name);
    out.scope = scope;
    out.limit = limit;
    if (rolling) out.window = {.per = Per::kRolling, .rolling_s = 86'400, .zone = nullptr};
    return out;
}

/// A pool in memory that tells what it was asked, and fails when told so.
class Pool final : public LeaseSource {
public:
    Result<std::vector<LeaseGrant>> take(std::span<const LeaseWant> wants) override {
        if (down) return fail(ErrorCode::kUnavailable, "down");
        std::vector<LeaseGrant> out;
        for (const LeaseWant& want : wants) {
            std::int64_t& sum = taken[want.account];
            LeaseGrant grant{want.account, want.period, slice_of(want.limit - sum, want.amount), 0};
            sum += grant.amount;
            grant.left = std::max<std::int64_t>(want.limit - sum, 0);
            out.push_back(grant);
        }
        return out;
    }
    Result<void> give_back(std::span<const LeaseReturn> returns) override {
        for (const LeaseReturn& one : returns) taken[one.account] -= one.amount;
        return {};
    }
    std::map<std::string, std::int64_t> taken;
    bool down = false;
};

std::optional<Refusal> reserve(Book& book, std::uint32_t attempt, std::int64_t amount,
                               std::int64_t now_s = kNow) {
    Reservation wanted;
    wanted.attempt = attempt;
    wanted.scopes = kScopes;
    wanted.worst.pico_usd = amount;
    wanted.now_s = now_s;
    return book.reserve(wanted);
}

void exchange(Book& book, Pool& pool) {
    const auto wants = book.take_wants();
    const auto grants = pool.take(wants);
    for (const LeaseGrant& grant : *grants) book.grant(grant);
}

TEST(BudgetLease, NothingIsReservedBeyondTheSliceAndTheFreePartGoesBack) {
    Book book;
    book.share();
    book.configure({spec("day", ScopeKind::kTeam, 800)}, {}, kNow);
    Pool pool;
    const auto first = reserve(book, 1, 10);
    ASSERT_TRUE(first && first->short_of_slice);
    exchange(book, pool);
    EXPECT_EQ(pool.taken["day/team:travel"], 100) << "an eighth of what is left";
    EXPECT_FALSE(reserve(book, 1, 10));
    EXPECT_FALSE(reserve(book, 2, 90));
    EXPECT_TRUE(reserve(book, 3, 1)->short_of_slice);
    EXPECT_EQ(book.settle({}, 1, {4, 0}), Settled::kPosted);
    EXPECT_FALSE(reserve(book, 3, 6)) << "what was reserved and not spent is free again";
    // More than was reserved: the pool must know.
    EXPECT_EQ(book.settle({}, 3, {56, 0}), Settled::kPosted);
    auto returns = book.take_returns(false);
    ASSERT_EQ(returns.size(), 1U);
    EXPECT_EQ(returns[0].amount, -50);
    EXPECT_EQ(book.settle({}, 2, {0, 0}), Settled::kPosted);
    returns = book.take_returns(true);
    ASSERT_EQ(returns.size(), 1U);
    EXPECT_EQ(returns[0].amount, 90);
    EXPECT_TRUE(book.take_returns(true).empty());
}

TEST(BudgetLease, AnEmptyPoolIsARefusalThatNamesTheBudget) {
    Book book;
    book.share();
    book.configure({spec("all", ScopeKind::kGlobal, 1000), spec("day", ScopeKind::kTeam, 20)}, {},
                   kNow);
    Pool pool;
    pool.taken["day/team:travel"] = 15;  // another gateway's
    ASSERT_TRUE(reserve(book, 1, 10)->short_of_slice);
    exchange(book, pool);
    const auto refusal = reserve(book, 1, 10);
    ASSERT_TRUE(refusal);
    EXPECT_FALSE(refusal->short_of_slice);
    EXPECT_EQ(refusal->budget, "day");
    EXPECT_EQ(refusal->left, 5);
    EXPECT_EQ(book.room(kScopes, kNow).pico_usd, 5);
    EXPECT_FALSE(reserve(book, 1, 5));
    // An answer is believed for a second, then the pool is asked again.
    EXPECT_TRUE(reserve(book, 2, 10, kNow + 2)->short_of_slice);
}

TEST(BudgetLease, ASliceOfARollingWindowCountsWithItsSlot) {
    Book book;
    book.share();
    book.configure({spec("roll", ScopeKind::kTeam, 800, true)}, {}, kNow);
    Pool pool;
    ASSERT_TRUE(reserve(book, 1, 10));
    exchange(book, pool);
    ASSERT_FALSE(reserve(book, 1, 10));
    const std::int64_t later = kNow + kSlotSeconds;
    EXPECT_TRUE(reserve(book, 2, 10, later)->short_of_slice) << "the old slice is of the old slot";
    auto returns = book.take_returns(false);
    ASSERT_EQ(returns.size(), 1U);
    EXPECT_EQ(returns[0].amount, 90);
    EXPECT_EQ(returns[0].period, slot_of(kNow) * kSlotSeconds);
    EXPECT_EQ(book.settle({}, 1, {3, 0}), Settled::kPosted);
    returns = book.take_returns(false);
    ASSERT_EQ(returns.size(), 1U);
    EXPECT_EQ(returns[0].amount, 7);
}

/// Two gateways' books, `threads` of each, on the last cent of four scopes.
void race(const std::function<std::unique_ptr<LeaseSource>()>& source, int requests, int trial) {
    const std::int64_t cost = 7;
    const std::int64_t admitted = requests / 4;
    std::vector<BudgetSpec> specs;
    for (std::size_t i = 0; i < kScopes.size(); ++i) {
        // One of the four is the tightest, another one each time; a rest that is no whole request.
        const bool tight = static_cast<int>(i) == trial % 4;
        specs.push_back(spec("b" + std::to_string(trial) + std::to_string(i), kScopes[i].kind,
                             admitted * cost + (tight ? 3 : 500), i == 3));
    }
    Book books[2];
    std::vector<std::unique_ptr<LeaseKeeper>> keepers;
    for (Book& book : books) {
        book.share();
        book.configure(specs, {}, kNow);
        keepers.push_back(std::make_unique<LeaseKeeper>(book, source()));
    }
    std::atomic<int> reserved{0};
    std::atomic<std::uint32_t> attempt{0};
    const auto client = [&](std::size_t gateway, int count) {
        for (int i = 0; i < count; ++i) {
            const std::uint32_t mine = ++attempt;
            while (true) {
                const auto refusal = reserve(books[gateway], mine, cost);
                if (!refusal) {
                    ++reserved;
                    break;
                }
                if (!refusal->short_of_slice) break;
                std::promise<bool> answered;
                keepers[gateway]->ask([&](bool ok) { answered.set_value(ok); });
                ASSERT_TRUE(answered.get_future().get());
            }
        }
    };
    std::vector<std::thread> threads;
    constexpr int kThreads = 10;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back(client, static_cast<std::size_t>(i % 2), requests / kThreads);
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(reserved, admitted) << "overshoot in trial " << trial;
    EXPECT_GE(reserved, admitted * 3 / 4) << "a slice of each gateway may be left over";
}

TEST(BudgetLeasePostgres, TwoGatewaysNeverPassTheLastCent) {
    PostgresServer& server = PostgresServer::get();
    if (!server.missing().empty()) GTEST_SKIP() << server.missing();
    const ledger::testing::TemporaryFolder folder;
    const Secret url = server.make_database();
    const auto ledger = ledger::Ledger::open({.state_dir = folder.path(), .database = url});
    ASSERT_TRUE(ledger) << ledger.error().text();
    const char* asked = std::getenv("LEEWAY_BUDGET_TRIALS");
    const int trials = asked == nullptr ? 10 : std::atoi(asked);
    for (int trial = 0; trial < trials; ++trial) {
        race([&] { return std::make_unique<PostgresLease>(url); }, 1000, trial);
    }
}

TEST(BudgetLeasePostgres, WhatWasSpentBeforeCountsOnceAndALostServerAdmitsNothing) {
    PostgresServer& server = PostgresServer::get();
    if (!server.missing().empty()) GTEST_SKIP() << server.missing();
    const ledger::testing::TemporaryFolder folder;
    const Secret url = server.make_database();
    const auto ledger = ledger::Ledger::open({.state_dir = folder.path(), .database = url});
    ASSERT_TRUE(ledger) << ledger.error().text();
    PostgresLease first(url);
    PostgresLease second(url);
    LeaseWant want{"day/global", Unit::kUsd, 100, kNow, kNow, kNow + 86'400, 10, {{kNow, 40}}};
    const auto left_after = [&](PostgresLease& lease) -> std::int64_t {
        const auto grants = lease.take({&want, 1});
        EXPECT_TRUE(grants) << grants.error().text();
        return grants ? grants->front().left : -1;
    };
    EXPECT_EQ(left_after(first), 50);
    EXPECT_EQ(left_after(second), 40) << "100 - 40 - 2 x 10";
    server.stop();
    EXPECT_FALSE(first.take({&want, 1}));
    ASSERT_TRUE(server.start());
    EXPECT_EQ(left_after(first), 30) << "it comes back by itself";
    const LeaseReturn back{"day/global", Unit::kUsd, kNow, 30};
    ASSERT_TRUE(first.give_back({&back, 1}));
    EXPECT_EQ(left_after(second), 50) << "its connection broke, which is no matter";
    want.period = want.window_begin = kNow + 86'400;
    want.window_end = kNow + 2 * 86'400;
    want.past.clear();
    EXPECT_EQ(left_after(second), 88) << "a new window, a slice of an eighth";
}

}  // namespace
}  // namespace leeway::budget
