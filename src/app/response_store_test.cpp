#include "app/response_store.hpp"

#include "ledger/testing.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace leeway::app {
namespace {

using ledger::testing::TemporaryFolder;
using Texts = std::vector<std::string>;

constexpr std::int64_t kNow = 1'800'000'000;

wire::openai::ConversationItem item(const std::string& id, const std::string& text = "x") {
    return {id, fmt::format(R"({{"id":"{}","text":"{}"}})", id, text)};
}

/// Response `id` of `key`: one item of input, one of output.
KeptResponse response(const std::string& id, const std::string& previous = {},
                      const std::string& key = "web") {
    KeptResponse out;
    out.key = key;
    out.previous = previous;
    out.created_unix_s = kNow;
    out.whole.id = id;
    out.whole.head = fmt::format(R"({{"id":"{}","output":[],"usage":null}})", id);
    out.whole.output.push_back(item("out_" + id));
    out.input.push_back(item("in_" + id));
    return out;
}

class ResponseStoreTest : public ::testing::Test {
protected:
    void SetUp() override { open(); }
    void open() {
        store_.reset();
        auto opened = ResponseStore::open(folder_.path(), config_);
        ASSERT_TRUE(opened) << opened.error().text();
        store_ = std::move(*opened);
    }
    std::int64_t number(const std::string& id, const std::string& key = "web",
                        std::int64_t now = kNow) {
        const auto found = store_->find(id, key, now);
        EXPECT_TRUE(found);
        return found && *found ? (*found)->number : 0;
    }
    std::string found_item(const std::string& id, const std::string& key = "web",
                           std::int64_t now = kNow) {
        const Texts ids{id, "unknown", id};
        const auto found = store_->find_items(ids, key, now);
        EXPECT_TRUE(found);
        return found && found->contains(id) ? found->find(id)->second : std::string();
    }
    Texts conversation(const std::string& id) {
        const auto items = store_->conversation(number(id), 1'000'000);
        EXPECT_TRUE(items) << items.error().text();
        return items ? *items : Texts();
    }

    const TemporaryFolder folder_;
    ResponsesConfig config_;
    std::unique_ptr<ResponseStore> store_;
};

TEST_F(ResponseStoreTest, AnOwnerSeesItsOwnAlsoAfterARestart) {
    ASSERT_TRUE(store_->keep(response("resp_1")));
    ASSERT_TRUE(store_->keep(response("resp_2", {}, "")));
    open();
    EXPECT_NE(number("resp_1"), 0);
    EXPECT_EQ(number("resp_1", "other"), 0);
    EXPECT_EQ(number("resp_1", ""), 0);
    EXPECT_NE(number("resp_2", ""), 0);
    EXPECT_EQ(number("resp_2", "web"), 0);
    EXPECT_EQ(found_item("in_resp_1"), item("in_resp_1").body);
    EXPECT_EQ(found_item("in_resp_1", "other"), "");
    const auto told = store_->read(number("resp_1"));
    ASSERT_TRUE(told) << told.error().text();
    EXPECT_EQ(*told, R"({"id":"resp_1","output":[{"id":"out_resp_1","text":"x"}],"usage":null})");
}

TEST_F(ResponseStoreTest, AConversationIsAllOfItsTurnsInTheirOrder) {
    ASSERT_TRUE(store_->keep(response("a")));
    ASSERT_TRUE(store_->keep(response("b", "a")));
    ASSERT_TRUE(store_->keep(response("branch", "a")));
    ASSERT_TRUE(store_->keep(response("c", "b")));
    const Texts expected{item("in_a").body,  item("out_a").body, item("in_b").body,
                         item("out_b").body, item("in_c").body,  item("out_c").body};
    EXPECT_EQ(conversation("c"), expected);
    EXPECT_EQ(conversation("branch").size(), 4U);
    const auto large = store_->conversation(number("c"), 50);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, ErrorCode::kPayloadTooLarge);
}

TEST_F(ResponseStoreTest, NothingContinuesWhatIsNotThereOrSomebodyElses) {
    ASSERT_TRUE(store_->keep(response("a")));
    for (const auto& wrong :
         {response("b", "unknown"), response("b", "b"), response("b", "a", "other")}) {
        const auto kept = store_->keep(wrong);
        ASSERT_FALSE(kept);
        EXPECT_EQ(kept.error().reason, "previous_gone");
        EXPECT_EQ(number("b", wrong.key), 0);
    }
    const std::int64_t before = store_->bytes();
    EXPECT_FALSE(store_->keep(response("a"))) << "an id is one response";
    EXPECT_EQ(store_->bytes(), before);
}

TEST_F(ResponseStoreTest, AGapEndsAConversation) {
    ASSERT_TRUE(store_->keep(response("a")));
    ASSERT_TRUE(store_->keep(response("b", "a")));
    ASSERT_TRUE(store_->keep(response("c", "b")));
    ASSERT_TRUE(store_->remove(number("a")));
    EXPECT_EQ(number("a"), 0);
    const auto items = store_->conversation(number("c"), 1'000'000);
    ASSERT_FALSE(items);
    EXPECT_EQ(items.error().reason, "previous_gone");
    EXPECT_EQ(found_item("in_a"), "");
}

TEST_F(ResponseStoreTest, WhatIsDeletedIsInNoFileAnyMore) {
    KeptResponse secret = response("a");
    secret.input.push_back(item("in_2", "canary-0123456789"));
    ASSERT_TRUE(store_->keep(secret));
    store_->tend(kNow);
    ASSERT_TRUE(store_->remove(number("a")));
    store_->tend(kNow + 10);
    for (const char* name : {"/responses.db", "/responses.db-wal"}) {
        std::ifstream file(folder_.path() + name, std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
        EXPECT_EQ(bytes.find("canary-0123456789"), std::string::npos) << name;
    }
    EXPECT_EQ(store_->bytes(), 0);
}

TEST_F(ResponseStoreTest, WhatIsOverIsDeletedUnlessAConversationLivesOnIt) {
    const std::int64_t end = kNow + config_.retention.count();
    ASSERT_TRUE(store_->keep(response("a")));
    ASSERT_TRUE(store_->keep(response("lone")));
    KeptResponse late = response("b", "a");
    late.created_unix_s = end - 1;
    ASSERT_TRUE(store_->keep(late));
    EXPECT_NE(number("a", "web", end - 1), 0);
    EXPECT_EQ(number("a", "web", end), 0) << "over for its owner at once";
    EXPECT_EQ(found_item("in_a", "web", end), "");
    const std::int64_t before = store_->bytes();
    store_->tend(end);
    EXPECT_LT(store_->bytes(), before) << "the lone one is gone";
    const auto items = store_->conversation(number("b", "web", end), 1'000'000);
    ASSERT_TRUE(items);
    EXPECT_EQ(items->size(), 4U);
    store_->tend(end + config_.retention.count());
    EXPECT_EQ(store_->bytes(), 0);
}

TEST_F(ResponseStoreTest, TheOldestConversationsMakeRoom) {
    config_.disk_bytes = 1024 * 1024;
    open();
    const std::string text(10'000, 'x');
    std::string last;
    for (int i = 0; i < 200; ++i) {
        // One conversation goes on, others are of one turn.
        KeptResponse one = response(fmt::format("r{}", i), i % 50 == 0 ? last : std::string());
        if (i % 50 == 0) last = one.whole.id;
        one.input.push_back(item(fmt::format("in_{}", i), text));
        ASSERT_TRUE(store_->keep(one)) << i;
        ASSERT_LE(store_->bytes(), 1024 * 1024);
    }
    EXPECT_NE(number("r199"), 0);
    EXPECT_EQ(number("r1"), 0);
    EXPECT_NE(number("r0"), 0) << "the conversation that goes on needs it";
    EXPECT_EQ(conversation("r150").size(), 12U);
    store_->tend(kNow);
    EXPECT_LE(store_->bytes(), 1024 * 1024 / 100 * 95);
    const std::int64_t bytes = store_->bytes();
    open();
    EXPECT_EQ(store_->bytes(), bytes) << "counted alike after a restart";
}

TEST_F(ResponseStoreTest, WhatIsTooLargeIsNotKept) {
    config_.entry_bytes = 4096;
    store_->configure(config_);
    KeptResponse large = response("a");
    large.input.push_back(item("in_2", std::string(5000, 'x')));
    const auto kept = store_->keep(large);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().reason, "too_large");
    store_->configure({});
    KeptResponse many = response("a");
    for (int i = 0; i < 5000; ++i) many.input.push_back(item("i"));
    EXPECT_FALSE(store_->keep(many));
    EXPECT_EQ(store_->bytes(), 0);
}

TEST_F(ResponseStoreTest, KnowsWhoseAProvidersResponsesAre) {
    ASSERT_TRUE(store_->hold({"web", "resp_9", "acme", kNow, 1'100}));
    ASSERT_TRUE(store_->hold({"other", "resp_9", "acme", kNow, 7}));
    const auto found = store_->find("resp_9", "web", kNow);
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->provider, "acme");
    EXPECT_EQ((*found)->tokens, 1'100);
    const std::int64_t bytes = store_->bytes();
    ASSERT_TRUE(store_->hold({"web", "resp_9", "acme", kNow + 5, 2'000}));
    EXPECT_EQ(store_->bytes(), bytes) << "the same anew";
    EXPECT_EQ((*store_->find("resp_9", "web", kNow))->tokens, 2'000);
    EXPECT_FALSE(*store_->find("resp_9", "", kNow));
    // What a provider says must not become a part of an address, nor take the place of ours.
    ASSERT_TRUE(store_->hold({"web", "../files", "acme", kNow, 1}));
    EXPECT_FALSE(*store_->find("../files", "web", kNow));
    ASSERT_TRUE(store_->keep(response("ours")));
    ASSERT_TRUE(store_->hold({"web", "ours", "acme", kNow, 1}));
    EXPECT_EQ((*store_->find("ours", "web", kNow))->provider, "");
    EXPECT_FALSE(store_->keep(response("b", "resp_9"))) << "we do not have what it continues";
}

TEST_F(ResponseStoreTest, TheInputIsToldInPages) {
    ASSERT_TRUE(store_->keep(response("a")));
    ASSERT_TRUE(store_->keep(response("b", "a")));
    const std::int64_t last = number("b");
    const auto all = store_->input_page(last, "", false, 100);
    ASSERT_TRUE(all && *all);
    EXPECT_EQ((*all)->ids, (Texts{"in_a", "out_a", "in_b"})) << "not its own output";
    EXPECT_FALSE((*all)->has_more);
    const auto newest = store_->input_page(last, "", true, 2);
    ASSERT_TRUE(newest && *newest);
    EXPECT_EQ((*newest)->ids, (Texts{"in_b", "out_a"}));
    EXPECT_EQ((*newest)->items.back(), item("out_a").body);
    EXPECT_TRUE((*newest)->has_more);
    const auto rest = store_->input_page(last, "out_a", true, 2);
    ASSERT_TRUE(rest && *rest);
    EXPECT_EQ((*rest)->ids, (Texts{"in_a"}));
    EXPECT_FALSE((*rest)->has_more);
    const auto none = store_->input_page(last, "unknown", true, 2);
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
}

}  // namespace
}  // namespace leeway::app
