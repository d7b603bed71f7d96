#include "lab/outcomes/outcome_store.hpp"

#include "support/temporary_folder.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace leeway::lab {
namespace {

class OutcomeStores : public ::testing::Test {
protected:
    OutcomeStore open(store::sqlite::Access access = store::sqlite::Access::kCreate) {
        auto store = OutcomeStore::open(folder_ / "outcomes.db", access);
        EXPECT_TRUE(store.has_value()) << store.error().text();
        return std::move(*store);
    }
    support::TemporaryFolder folder_;
};

/// Two queries; "b" is not known for the second, "a" has no log-prob there.
OutcomeTable two_by_two() {
    OutcomeTable out;
    for (const char* name : {"a", "b"}) out.models.emplace_back().model = name;
    for (ModelOutcomes& one : out.models) one.has_cost = true;
    out.add_query({"1", "t", "train", "first question?"});
    out.add_query({"2", "t", "test", "second question"});
    const auto set = [&](std::size_t m, std::size_t q, float quality, std::int64_t cost) {
        ModelOutcomes& of = out.models[m];
        of.state[q] = CellState::kKnown;
        of.quality[q] = quality;
        of.cost[q] = PicoUsd(cost);
        of.tokens_out[q] = 7;
    };
    set(0, 0, 1, 100);
    set(0, 1, 0.25F, 200);
    set(1, 0, 0, 5'000);
    out.models[0].mean_logprob[0] = -0.5F;
    return out;
}

constexpr std::string_view kPrint = "abc";

TEST_F(OutcomeStores, KeepsWhatWasImported) {
    const std::vector<float> vectors{1, 0, 0.6F, 0.8F};
    {
        OutcomeStore store = open();
        const auto count = store.import(two_by_two(), 1000, kPrint, vectors);
        ASSERT_TRUE(count.has_value()) << count.error().text();
        EXPECT_EQ(*count, 3U);
        ASSERT_TRUE(store.import(two_by_two(), 2000, kPrint, vectors).has_value());  // replaces
    }
    OutcomeStore store = open(store::sqlite::Access::kReadOnly);
    const auto statistics = store.statistics();
    ASSERT_TRUE(statistics.has_value()) << statistics.error().text();
    EXPECT_EQ(statistics->queries, 2);
    ASSERT_EQ(statistics->embeddings.size(), 1U);
    EXPECT_EQ(statistics->embeddings[0].second, 2);
    ASSERT_EQ(statistics->outcomes.size(), 2U);
    EXPECT_EQ(statistics->outcomes[0].outcomes, 2);
    EXPECT_DOUBLE_EQ(statistics->outcomes[0].mean_quality, 0.625);
    EXPECT_EQ(statistics->outcomes[0].cost, PicoUsdSum(300));
    const auto rows = store.rows("", kPrint);
    ASSERT_TRUE(rows.has_value()) << rows.error().text();
    ASSERT_EQ(rows->size(), 2U);
    EXPECT_EQ(rows->dimension, 2U);
    EXPECT_FLOAT_EQ(rows->vector(1)[1], 0.8F);
    EXPECT_EQ(rows->cues[0], router::cues_of("first question?"));
    ASSERT_EQ(rows->models.size(), 2U);
    EXPECT_FLOAT_EQ(rows->models[0].quality[1], 0.25F);
    EXPECT_EQ(rows->models[0].cost[1], PicoUsd(200));
    EXPECT_EQ(rows->models[0].tokens_out[0], 7);
    EXPECT_TRUE(std::isnan(rows->models[1].quality[1]));
}

TEST_F(OutcomeStores, VectorsOfAnotherModelAreNotMixedIn) {
    OutcomeStore store = open();
    ASSERT_TRUE(store.import(two_by_two(), 1, kPrint, std::vector<float>{1, 0, 0, 1}).has_value());
    const auto rows = store.rows("", "other");
    ASSERT_TRUE(rows.has_value());
    EXPECT_EQ(rows->size(), 0U);
}

TEST_F(OutcomeStores, TheLatestSourceCounts) {
    OutcomeStore store = open();
    const auto query = store.put(stored_query("what?"));
    ASSERT_TRUE(query.has_value());
    ASSERT_TRUE(store.put(*query, kPrint, std::vector<float>{1, 0}).has_value());
    StoredOutcome outcome;
    outcome.model = "a";
    outcome.quality = 1;
    outcome.cost = PicoUsd(10);
    outcome.at_s = 5;
    ASSERT_TRUE(store.put(*query, outcome).has_value());
    outcome.source = OutcomeSource::kFeedback;
    outcome.quality = 0;
    outcome.at_s = 9;
    outcome.propensity = 0.25;
    ASSERT_TRUE(store.put(*query, outcome).has_value());
    outcome.source = OutcomeSource::kJudge;
    outcome.quality = 1;
    outcome.at_s = 7;
    ASSERT_TRUE(store.put(*query, outcome).has_value());
    const auto rows = store.rows("", kPrint);
    ASSERT_TRUE(rows.has_value());
    EXPECT_FLOAT_EQ(rows->models[0].quality[0], 0.0F);
    EXPECT_EQ(store.statistics()->outcomes.size(), 3U);
}

TEST_F(OutcomeStores, ATenantSeesItsOwnAndCanBeForgotten) {
    OutcomeStore store = open();
    for (const char* tenant : {"web", "app"}) {
        StoredQuery query = stored_query("the same text");
        query.tenant = tenant;
        const auto number = store.put(query);
        ASSERT_TRUE(number.has_value());
        ASSERT_TRUE(store.put(*number, kPrint, std::vector<float>{1, 0}).has_value());
        StoredOutcome outcome;
        outcome.model = tenant;
        outcome.cost = PicoUsd(1);
        ASSERT_TRUE(store.put(*number, outcome).has_value());
    }
    const auto rows = store.rows("web", kPrint);
    ASSERT_TRUE(rows.has_value());
    ASSERT_EQ(rows->models.size(), 1U);
    EXPECT_EQ(rows->models[0].model, "web");
    ASSERT_TRUE(store.erase("web").has_value());
    EXPECT_EQ(store.rows("web", kPrint)->size(), 0U);
    EXPECT_EQ(store.rows("app", kPrint)->size(), 1U);
    EXPECT_EQ(store.statistics()->queries, 1);
}

TEST_F(OutcomeStores, RefusesWhatIsNoOutcome) {
    OutcomeStore store = open();
    const auto query = store.put(stored_query("what?"));
    ASSERT_TRUE(query.has_value());
    StoredOutcome outcome;
    outcome.model = "a";
    outcome.quality = 1.5;
    EXPECT_FALSE(store.put(*query, outcome).has_value());
    outcome.quality = std::nan("");
    EXPECT_FALSE(store.put(*query, outcome).has_value());
    outcome.quality = 1;
    outcome.cost = PicoUsd(-1);
    EXPECT_FALSE(store.put(*query, outcome).has_value());
    outcome.cost.reset();
    outcome.propensity = 0;  // then no estimate could use it
    EXPECT_FALSE(store.put(*query, outcome).has_value());
    outcome.propensity = 1;
    EXPECT_TRUE(store.put(*query, outcome).has_value());
    EXPECT_EQ(store.statistics()->outcomes[0].with_cost, 0);
}

TEST_F(OutcomeStores, OfANewerProgramIsLeftAlone) {
    {
        (void)open();
    }
    {
        auto db = store::sqlite::Database::open(folder_ / "outcomes.db");
        ASSERT_TRUE(db.has_value());
        ASSERT_TRUE(db->exec("UPDATE schema_version SET version = 99").has_value());
    }
    const auto again = OutcomeStore::open(folder_ / "outcomes.db");
    EXPECT_FALSE(again.has_value());
}

}  // namespace
}  // namespace leeway::lab
