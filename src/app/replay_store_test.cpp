#include "app/replay_store.hpp"

#include "app/drain_slots.hpp"
#include "base/task.hpp"
#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace leeway::app {
namespace {

using agent_cache::SingleFlight;
using agent_cache::testing::ManualExecutor;
using Kind = ReplayStore::Kind;

constexpr std::int64_t kNow = 1'000'000;
constexpr std::int64_t kTtl = 60'000;

ReplayStore::Question question(std::string_view key, std::string_view body) {
    return {sha256(key), process_hash128(body)};
}

ReplayStore::Answer answer(std::string body) {
    ReplayStore::Answer out;
    out.fields = {{"content-type", "application/json"}, {"x-request-id", "req:1"}};
    out.model = "gpt-4o";
    out.id = "01KBEXAMPLE";
    out.body = std::move(body);
    return out;
}

Task<void> follow(SingleFlight::Follower& follower, std::optional<SingleFlight::Outcome>& out) {
    out.emplace(co_await follower.wait());
}

std::optional<SingleFlight::Outcome> waited(ReplayStore::Found& found, ManualExecutor& executor) {
    std::optional<SingleFlight::Outcome> out;
    spawn(follow(found.follower, out), [](const std::exception_ptr&) { std::abort(); });
    executor.run_all();
    return out;
}

class ReplayStoreTest : public ::testing::Test {
public:
    ManualExecutor executor;
    ReplayStore store{1 << 20, 1 << 16};
    const ReplayStore::Question asked = question("k", "hello");
};

TEST_F(ReplayStoreTest, TheSameQuestionGetsTheSameAnswer) {
    auto first = store.look_up(asked, kNow, executor);
    ASSERT_EQ(first.kind, Kind::kLead);
    first.lease.keep(answer("line\n\nline"), kNow, kNow + kTtl);
    const auto again = store.look_up(asked, kNow + kTtl - 1, executor);
    ASSERT_EQ(again.kind, Kind::kAnswer);
    EXPECT_EQ(again.answer.body, "line\n\nline");
    EXPECT_EQ(again.answer.fields, answer("").fields);
    EXPECT_EQ(again.answer.model, "gpt-4o");
    EXPECT_EQ(again.answer.id, "01KBEXAMPLE");
    EXPECT_FALSE(again.answer.streamed);
    EXPECT_EQ(store.look_up(asked, kNow + kTtl, executor).kind, Kind::kLead) << "it has expired";
    EXPECT_EQ(store.look_up(question("l", "hello"), kNow, executor).kind, Kind::kLead);
    EXPECT_EQ(store.stats().replayed, 1U);
}

TEST_F(ReplayStoreTest, AnotherQuestionWithTheSameKeyIsRefused) {
    auto first = store.look_up(asked, kNow, executor);
    EXPECT_EQ(store.look_up(question("k", "other"), kNow, executor).kind, Kind::kOther)
        << "while it is being answered";
    first.lease.keep(answer("x"), kNow, kNow + kTtl);
    EXPECT_EQ(store.look_up(question("k", "other"), kNow, executor).kind, Kind::kOther);
    EXPECT_EQ(store.stats().refused, 2U);
}

TEST_F(ReplayStoreTest, WhoComesMeanwhileWaitsForTheAnswer) {
    auto first = store.look_up(asked, kNow, executor);
    auto second = store.look_up(asked, kNow, executor);
    ASSERT_EQ(second.kind, Kind::kFollow);
    first.lease.keep(answer("x"), kNow, kNow + kTtl);
    auto outcome = waited(second, executor);
    ASSERT_TRUE(outcome);
    const auto found = store.after(asked, kNow, std::move(*outcome));
    ASSERT_EQ(found.kind, Kind::kAnswer);
    EXPECT_EQ(found.answer.body, "x");
}

TEST_F(ReplayStoreTest, AFailureIsNotKeptAndTheNextTriesAlone) {
    auto first = store.look_up(asked, kNow, executor);
    auto second = store.look_up(asked, kNow, executor);
    auto third = store.look_up(asked, kNow, executor);
    first.lease.drop();
    auto outcome = waited(second, executor);
    ASSERT_TRUE(outcome);
    auto found = store.after(asked, kNow, std::move(*outcome));
    ASSERT_EQ(found.kind, Kind::kLead);
    std::optional<SingleFlight::Outcome> late;
    spawn(follow(third.follower, late), [](const std::exception_ptr&) { std::abort(); });
    executor.run_all();
    EXPECT_FALSE(late) << "two at a time would be billed twice";
    EXPECT_EQ(store.look_up(question("k", "other"), kNow, executor).kind, Kind::kOther);
    found.lease.drop();
    executor.run_all();
    ASSERT_TRUE(late);
    EXPECT_EQ(store.after(asked, kNow, std::move(*late)).kind, Kind::kLead);
    EXPECT_EQ(store.stats().entries, 0U);
}

TEST_F(ReplayStoreTest, WithNobodyWaitingAFailureLeavesNothing) {
    {
        auto first = store.look_up(asked, kNow, executor);
    }
    EXPECT_EQ(store.look_up(question("k", "other"), kNow, executor).kind, Kind::kLead);
}

TEST_F(ReplayStoreTest, ItsMemoryIsBounded) {
    for (int i = 0; i < 200; ++i) {
        auto found = store.look_up(question(std::to_string(i), "q"), kNow, executor);
        found.lease.keep(answer(std::string(20'000, 'x')), kNow, kNow + kTtl);
    }
    EXPECT_LE(store.stats().bytes, std::uint64_t{1} << 20);
    EXPECT_GE(store.stats().entries, 20U);
    EXPECT_EQ(store.look_up(question("0", "q"), kNow, executor).kind, Kind::kLead);
}

TEST(DrainSlots, NoMoreThanAllowedAtATime) {
    DrainSlots slots;
    auto first = slots.take(2);
    {
        auto second = slots.take(2);
        EXPECT_TRUE(second);
        EXPECT_FALSE(slots.take(2));
        EXPECT_EQ(slots.open(), 2U);
    }
    std::optional<DrainSlots::Slot> kept;
    kept.emplace(std::move(*first));  // one that moves is still one
    first.reset();
    EXPECT_EQ(slots.open(), 1U);
    EXPECT_TRUE(slots.take(2));
    EXPECT_EQ(slots.begun(), 3U);
    EXPECT_EQ(slots.refused(), 1U);
}

}  // namespace
}  // namespace leeway::app
