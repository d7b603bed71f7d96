#include "app/outcome_recorder.hpp"

#include "app/client_feedback.hpp"
#include "base/clock.hpp"
#include "base/task.hpp"
#include "methods/agent_cache/testing.hpp"
#include "store/sqlite/database.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

namespace leeway::app {
namespace {

using agent_cache::testing::ManualExecutor;
using Taken = OutcomeRecorder::Taken;

AnsweredCall call(std::string text, std::string tenant = "web") {
    AnsweredCall out;
    out.tenant = std::move(tenant);
    out.route = "support";
    out.text = std::move(text);
    out.answer.id = RequestId::make(unix_now_s() * 1000);
    out.answer.model = "small";
    out.answer.cost = PicoUsd(5);
    out.answer.at_s = unix_now_s();
    return out;
}

Task<void> receive(PostedValue<Taken>& value, std::optional<Taken>& out) {
    out.emplace(co_await value.receive());
}

class OutcomeRecorders : public ::testing::Test {
protected:
    std::unique_ptr<OutcomeRecorder> start() {
        auto recorder = OutcomeRecorder::start(folder_.path(), {});
        EXPECT_TRUE(recorder.has_value()) << recorder.error().text();
        return std::move(*recorder);
    }
    Taken tell(OutcomeRecorder& recorder, const RequestId& id, const std::string& tenant,
               double quality) {
        lab::StoredFeedback feedback;
        feedback.quality = quality;
        feedback.at_s = unix_now_s();
        PostedValue<Taken> value = recorder.tell(executor_, id, tenant, feedback);
        std::optional<Taken> out;
        spawn(receive(value, out), [](const std::exception_ptr&) { std::abort(); });
        while (!out && executor_.run_one()) {
        }
        EXPECT_TRUE(out.has_value());
        return out ? std::move(*out) : Taken(false);
    }
    lab::StoreStatistics statistics() {
        auto store = lab::OutcomeStore::open(lab::outcome_store_path(folder_.path()),
                                             store::sqlite::Access::kReadOnly);
        EXPECT_TRUE(store.has_value());
        return *store->statistics();
    }
    support::TemporaryFolder folder_;
    ManualExecutor executor_;
};

TEST_F(OutcomeRecorders, FeedbackFindsWhatWasOfferedJustBefore) {
    const auto recorder = start();
    for (int i = 0; i < 200; ++i) {
        AnsweredCall one = call("question " + std::to_string(i));
        const RequestId id = one.answer.id;
        recorder->offer(std::move(one));
        const Taken taken = tell(*recorder, id, "web", 1);
        ASSERT_TRUE(taken.has_value()) << taken.error().text();
        ASSERT_TRUE(*taken) << i;
    }
    AnsweredCall other = call("question", "app");
    const RequestId id = other.answer.id;
    recorder->offer(std::move(other));
    EXPECT_EQ(tell(*recorder, id, "web", 1).value(), false) << "another key's";
    EXPECT_EQ(tell(*recorder, RequestId::make(5), "web", 1).value(), false);
    EXPECT_EQ(statistics().outcomes[0].outcomes, 200);
    EXPECT_EQ(recorder->counters().answers, 201U);
    EXPECT_EQ(recorder->counters().outcomes, 200U);
    EXPECT_EQ(recorder->counters().unknown, 2U);
}

TEST_F(OutcomeRecorders, WhatWaitsAtTheEndIsWritten) {
    {
        const auto recorder = start();
        for (int i = 0; i < 1000; ++i) recorder->offer(call("question " + std::to_string(i)));
    }
    EXPECT_EQ(statistics().answers, 1000);
}

TEST_F(OutcomeRecorders, NobodyWaitsForADatabaseThatIsBusy) {
    const auto recorder = start();
    const RequestId known = [&] {
        AnsweredCall one = call("known");
        const RequestId id = one.answer.id;
        recorder->offer(std::move(one));
        EXPECT_EQ(tell(*recorder, id, "web", 1).value(), true);
        return id;
    }();
    constexpr std::size_t kTooMany = 1000;
    {
        auto db = store::sqlite::Database::open(lab::outcome_store_path(folder_.path()));
        ASSERT_TRUE(db.has_value());
        auto held = store::sqlite::Transaction::begin(*db);
        ASSERT_TRUE(held.has_value());
        const TimePoint begin = monotonic_now();
        for (std::size_t i = 0; i < OutcomeRecorder::kMostWaiting + kTooMany; ++i)
            recorder->offer(call("question " + std::to_string(i)));
        const Taken refused = tell(*recorder, known, "web", 0);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
        EXPECT_LT(monotonic_now() - begin, std::chrono::seconds(3));
    }
    recorder->stop();
    const auto counters = recorder->counters();
    EXPECT_GE(counters.dropped, kTooMany - 256 + 1);  // a batch was under way
    EXPECT_EQ(counters.answers + counters.dropped - 1,
              OutcomeRecorder::kMostWaiting + kTooMany + 1);
    EXPECT_EQ(counters.failed, 0U);
    EXPECT_EQ(statistics().answers, static_cast<std::int64_t>(counters.answers));
}

TEST_F(OutcomeRecorders, LongTextsDoNotFillTheMemory) {
    const auto recorder = start();
    recorder->offer(call(std::string(OutcomeRecorder::kMostBytes + 1, 'x')));
    recorder->offer(call("short"));
    recorder->stop();
    EXPECT_EQ(recorder->counters().dropped, 1U);
    EXPECT_EQ(recorder->counters().answers, 1U);
    EXPECT_FALSE(tell(*recorder, RequestId::make(5), "web", 1).has_value());
}

TEST_F(OutcomeRecorders, TheSameWordsInAnotherConversationAreAnotherQuery) {
    {
        const auto recorder = start();
        recorder->offer(call("yes"));
        recorder->offer(call("yes"));
        AnsweredCall later = call("yes");
        later.conversation = sha256("[first, yes]");
        recorder->offer(std::move(later));
    }
    EXPECT_EQ(statistics().answers, 3);
    EXPECT_EQ(statistics().queries, 2);
}

TEST(FeedbackBodies, SayOneThingAtLeast) {
    const auto both = read_feedback(R"({"id":"x","value":0.5,"comment":"c","correction":null})");
    ASSERT_TRUE(both.has_value()) << both.error().text();
    EXPECT_EQ(both->feedback.quality, 0.5);
    EXPECT_EQ(both->feedback.comment, "c");
    EXPECT_FALSE(both->feedback.correction.has_value());
    EXPECT_EQ(read_feedback(R"({"id":"x","value":false})")->feedback.quality, 0.0);
    for (const char* bad : {"", "[]", "{}", R"({"id":"x"})", R"({"value":1})",
                            R"({"id":"x","value":2})", R"({"id":"x","value":-1})",
                            R"({"id":"x","value":"1"})", R"({"id":"x","value":1,"extra":1})"}) {
        const auto read = read_feedback(bad);
        ASSERT_FALSE(read.has_value()) << bad;
        EXPECT_EQ(read.error().code, ErrorCode::kInvalidRequest) << bad;
    }
}

}  // namespace
}  // namespace leeway::app
