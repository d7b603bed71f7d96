#include "base/ids.hpp"
#include "lab/outcomes/outcome_store.hpp"
#include "store/sqlite/database.hpp"
#include "support/temporary_folder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

namespace leeway::lab {
namespace {

constexpr std::string_view kPrint = "abc";

std::string bytes_of(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class OutcomeAnswers : public ::testing::Test {
protected:
    OutcomeStore open() {
        auto store = OutcomeStore::open(path());
        EXPECT_TRUE(store.has_value()) << store.error().text();
        return std::move(*store);
    }
    [[nodiscard]] std::string path() const { return folder_ / "outcomes.db"; }

    /// An answer of `model` to `text`, with its query's number.
    static std::pair<std::int64_t, StoredAnswer> put(OutcomeStore& store, std::string_view text,
                                                     std::string_view model, std::int64_t at_s,
                                                     const std::string& tenant = "web") {
        StoredQuery query = stored_query(text);
        query.tenant = tenant;
        query.task = "support";
        const auto number = store.put(query);
        EXPECT_TRUE(number.has_value());
        StoredAnswer answer;
        answer.id = RequestId::make(at_s * 1000);
        answer.model = model;
        answer.cost = PicoUsd(1'000);
        answer.tokens_in = 12;
        answer.tokens_out = 3;
        answer.latency_ms = 250.5;
        answer.mean_logprob = -0.25;
        answer.propensity = 0.9;
        answer.at_s = at_s;
        EXPECT_TRUE(store.put(*number, answer).has_value());
        return {*number, answer};
    }
    static void judge(OutcomeStore& store, std::int64_t query, const StoredCall& answer,
                      double quality, OutcomeSource source = OutcomeSource::kFeedback) {
        StoredOutcome outcome{answer};
        outcome.source = source;
        outcome.quality = quality;
        EXPECT_TRUE(store.put(query, outcome).has_value());
    }
    support::TemporaryFolder folder_;
};

TEST_F(OutcomeAnswers, AreFoundByTheirTenantOnly) {
    OutcomeStore store = open();
    const auto [query, answer] = put(store, "what?", "a", 100);
    const auto found = store.find_answer(answer.id, "web");
    ASSERT_TRUE(found.has_value() && found->has_value());
    EXPECT_EQ((*found)->query, query);
    const StoredCall& call = (*found)->call;
    EXPECT_EQ(call.model, "a");
    EXPECT_EQ(call.cost, PicoUsd(1'000));
    EXPECT_EQ(call.tokens_in, 12);
    EXPECT_EQ(call.tokens_out, 3);
    EXPECT_DOUBLE_EQ(*call.latency_ms, 250.5);
    EXPECT_DOUBLE_EQ(*call.mean_logprob, -0.25);
    EXPECT_DOUBLE_EQ(call.propensity, 0.9);
    EXPECT_EQ(call.at_s, 100);
    EXPECT_FALSE(store.find_answer(answer.id, "other")->has_value());
    EXPECT_FALSE(store.find_answer(answer.id, "")->has_value());
    EXPECT_FALSE(store.find_answer(RequestId::make(1), "web")->has_value());
}

TEST_F(OutcomeAnswers, WhatIsNotSaidAgainStays) {
    OutcomeStore store = open();
    const auto answer = put(store, "what?", "a", 100).second;
    ASSERT_TRUE(store.put(answer.id, StoredFeedback{1.0, "fine", {}, 5}).has_value());
    ASSERT_TRUE(store.put(answer.id, StoredFeedback{0.5, {}, "forty-two", 6}).has_value());
    std::vector<ListedFeedback> all;
    const auto take = [&](const ListedFeedback& one) {
        all.push_back(one);
    };
    ASSERT_TRUE(store.each_feedback(std::nullopt, take).has_value());
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].id, answer.id);
    EXPECT_EQ(all[0].tenant, "web");
    EXPECT_EQ(all[0].task, "support");
    EXPECT_EQ(all[0].quality, 0.5);
    EXPECT_EQ(all[0].comment, "fine");
    EXPECT_EQ(all[0].correction, "forty-two");
    all.clear();
    ASSERT_TRUE(store.each_feedback("other", take).has_value());
    EXPECT_TRUE(all.empty());
    // An answer that is not there cannot be spoken of.
    EXPECT_FALSE(store.put(RequestId::make(7), StoredFeedback{1.0, {}, {}, 5}).has_value());
}

TEST_F(OutcomeAnswers, OldOnesGoWithAllThatHangsOnThem) {
    OutcomeStore store = open();
    const auto [old_query, old_answer] = put(store, "old", "a", 100);
    const auto [query, answer] = put(store, "new", "a", 200);
    for (const std::int64_t one : {old_query, query})
        ASSERT_TRUE(store.put(one, kPrint, std::vector<float>{1, 0}).has_value());
    judge(store, old_query, old_answer, 1);
    judge(store, query, answer, 0);
    ASSERT_TRUE(store.put(old_answer.id, StoredFeedback{1.0, "words", {}, 100}).has_value());
    // What was imported stays however old it is.
    const auto imported = put(store, "table", "b", 50);
    judge(store, imported.first, imported.second, 1, OutcomeSource::kImported);
    EXPECT_EQ(store.sweep({150, 100}, 1000), 3U);  // two answers, one outcome
    EXPECT_EQ(store.statistics()->queries, 2);
    EXPECT_EQ(store.statistics()->answers, 1);
    EXPECT_EQ(store.statistics()->feedback, 0);
    EXPECT_EQ(store.statistics()->embeddings[0].second, 1);
    EXPECT_EQ(store.sweep({150, 100}, 1000), 0U);
}

TEST_F(OutcomeAnswers, AreBoundedInNumber) {
    OutcomeStore store = open();
    for (int i = 0; i < 10; ++i) {
        const auto [query, answer] = put(store, "q" + std::to_string(i), "a", 100 + i);
        judge(store, query, answer, 1);
    }
    EXPECT_EQ(store.sweep({0, 4}, 3), 6U);  // so many of each at a time
    EXPECT_EQ(store.sweep({0, 4}, 3), 6U);
    EXPECT_EQ(store.sweep({0, 4}, 3), 0U);
    EXPECT_EQ(store.statistics()->answers, 4);
    EXPECT_EQ(store.statistics()->queries, 4);
    EXPECT_EQ(store.statistics()->outcomes[0].outcomes, 4);
}

TEST_F(OutcomeAnswers, ErasingATenantLeavesNothingInTheFiles) {
    OutcomeStore store = open();
    const auto answer = put(store, "what?", "a", 100).second;
    const auto other = put(store, "what?", "a", 100, "app").second;
    ASSERT_TRUE(store.put(answer.id, StoredFeedback{{}, "unmistakable", {}, 5}).has_value());
    ASSERT_NE((bytes_of(path()) + bytes_of(path() + "-wal")).find("unmistakable"),
              std::string::npos);
    ASSERT_TRUE(store.erase("web").has_value());
    EXPECT_EQ(store.statistics()->feedback, 0);
    EXPECT_FALSE(store.find_answer(answer.id, "web")->has_value());
    EXPECT_TRUE(store.find_answer(other.id, "app")->has_value());
    for (const char* end : {"", "-wal"})
        EXPECT_EQ(bytes_of(path() + end).find("unmistakable"), std::string::npos) << end;
}

TEST_F(OutcomeAnswers, AsATableTheLatestOfEachModelCounts) {
    OutcomeStore store = open();
    const auto [query, weak] = put(store, "what?", "weak", 100);
    const StoredAnswer strong = put(store, "what?", "strong", 101).second;
    judge(store, query, weak, 1, OutcomeSource::kFeedback);
    StoredAnswer later = weak;
    later.at_s = 200;
    judge(store, query, later, 0, OutcomeSource::kShadow);
    judge(store, query, strong, 1);
    const auto second = put(store, "else?", "weak", 102);
    StoredAnswer unpriced = second.second;
    unpriced.cost.reset();
    judge(store, second.first, unpriced, 1);
    const auto read = store.table(std::nullopt, {});
    ASSERT_TRUE(read.has_value()) << read.error().text();
    const OutcomeTable& table = read->table;
    ASSERT_EQ(table.queries.size(), 2U);
    EXPECT_EQ(table.queries[0].task, "support");
    EXPECT_EQ(table.queries[0].text, "");
    const ModelOutcomes& of = table.models[*table.model("weak")];
    EXPECT_TRUE(of.known(0));
    EXPECT_FLOAT_EQ(of.quality[0], 0);
    EXPECT_FLOAT_EQ(*of.logprob(0), -0.25F);
    EXPECT_EQ(of.tokens_in[0], 12);
    EXPECT_FALSE(of.known(1)) << "an unknown cost is never 0";
    EXPECT_TRUE(table.models[*table.model("strong")].known(0));
    EXPECT_FALSE(table.models[*table.model("strong")].known(1));
    // What it was is told by the digest.
    judge(store, query, later, 0.5, OutcomeSource::kShadow);
    EXPECT_NE(store.table(std::nullopt, {})->digest, read->digest);
    EXPECT_FALSE(store.table("nobody", {}).has_value());
    const std::vector<std::string> none{"none"};
    EXPECT_FALSE(store.table(std::nullopt, none).has_value());
}

TEST_F(OutcomeAnswers, KeepLogProbabilitiesNoHigherThanTheyAre) {
    OutcomeStore store = open();
    for (const double logprob : {-0.010050335853501441, -3.1e-8, -0.1, -19.0, 0.0}) {
        auto [query, answer] = put(store, "what?", "a", 100);
        answer.mean_logprob = logprob;
        judge(store, query, answer, 1);
        const float kept = *store.table(std::nullopt, {})->table.models[0].logprob(0);
        EXPECT_LE(static_cast<double>(kept), logprob);
        EXPECT_NEAR(kept, logprob, 1e-6 * std::abs(logprob) + 1e-12);
    }
}

TEST_F(OutcomeAnswers, AStoreOfTheFirstVersionIsBroughtUpToDate) {
    {
        OutcomeStore store = open();
        const auto [query, answer] = put(store, "what?", "a", 100);
        judge(store, query, answer, 1, OutcomeSource::kImported);
    }
    {
        // As the first version left it.
        auto db = store::sqlite::Database::open(path());
        ASSERT_TRUE(db.has_value());
        const auto back = db->exec(
            "DROP TABLE feedback; DROP TABLE answer; DROP INDEX outcome_by_time; "
            "UPDATE outcome SET mean_logprob = -250000; UPDATE schema_version SET version = 1");
        ASSERT_TRUE(back.has_value()) << back.error().text();
    }
    EXPECT_FALSE(OutcomeStore::open(path(), store::sqlite::Access::kReadOnly).has_value());
    OutcomeStore store = open();
    EXPECT_EQ(store.statistics()->outcomes.size(), 1U);
    EXPECT_EQ(store.statistics()->answers, 0);
    EXPECT_FLOAT_EQ(*store.table(std::nullopt, {})->table.models[0].logprob(0), -0.25F);
    const auto answer = put(store, "what?", "a", 100).second;
    EXPECT_TRUE(store.find_answer(answer.id, "web")->has_value());
}

}  // namespace
}  // namespace leeway::lab
