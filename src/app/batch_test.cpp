#include "app/batch_input.hpp"
#include "app/batch_poller.hpp"
#include "app/batch_reader.hpp"
#include "app/batch_settlement.hpp"
#include "app/batch_store.hpp"
#include "app/batch_tally.hpp"
#include "app/line_feed.hpp"
#include "app/worst_case.hpp"
#include "ledger/ledger.hpp"
#include "ledger/testing.hpp"
#include "net/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <span>
#include <string>

namespace leeway::app {
namespace {

using ledger::testing::TemporaryFolder;
using prices::Bucket;

prices::RateSheet sheet(prices::Tier tier, std::int64_t input, std::int64_t output,
                        std::int64_t above = -1) {
    prices::RateSheet out;
    out.rates.set(Bucket::kInput, FemtoUsdPerUnit(input));
    out.rates.set(Bucket::kOutput, FemtoUsdPerUnit(output));
    out.tier = tier;
    out.above = above;
    out.id = static_cast<std::uint64_t>(input);
    return out;
}

// 2 and 10 USD per million, half of it in batches, twice beyond 1,000 tokens of input.
prices::ModelPrices priced() {
    using enum prices::Tier;
    return prices::ModelPrices(
        std::vector<prices::RateSheet>{sheet(kStandard, 2'000'000'000, 10'000'000'000),
                                       sheet(kBatch, 1'000'000'000, 5'000'000'000),
                                       sheet(kStandard, 4'000'000'000, 20'000'000'000, 1'000),
                                       sheet(kBatch, 2'000'000'000, 10'000'000'000, 1'000)});
}

std::string answer(int input, int output, int status = 200) {
    return fmt::format(R"({{"response":{{"status_code":{},"body":{{"service_tier":"default",)"
                       R"("usage":{{"prompt_tokens":{},"completion_tokens":{}}}}}}}}})"
                       "\n",
                       status, input, output);
}

ledger::RequestRecord row_of(const std::string& output, const prices::ModelPrices& prices,
                             std::size_t step) {
    BatchTally tally(prices, wire::batch_dialect_of(wire::Dialect::kOpenAiChat),
                     wire::usage::Flavour::kOpenAiChat, 1'800'000'000);
    for (std::size_t at = 0; at < output.size(); at += step)
        tally.feed(std::string_view(output).substr(at, step));
    tally.finish();
    ledger::RequestRecord row;
    tally.fill(row);
    return row;
}

TEST(BatchTally, EachLineIsPricedForItselfHoweverTheFileIsCut) {
    const auto prices = priced();
    // Together they are beyond the band's 1,000 tokens, but only the last one is by itself.
    const std::string output =
        answer(600, 10) + answer(600, 10) + answer(9, 9, 500) + answer(2'000, 10);
    for (std::size_t step = 1; step <= output.size(); ++step) {
        const auto row = row_of(output, prices, step);
        EXPECT_EQ(row.usage[Bucket::kInput], 3'200) << step;
        ASSERT_TRUE(row.cost && row.baseline && row.waterfall) << step;
        EXPECT_EQ(row.cost->value(), 2 * (600'000'000 + 50'000'000) + 4'000'000'000 + 100'000'000);
        EXPECT_EQ(row.baseline->value(), 2 * row.cost->value());
        EXPECT_EQ((*row.waterfall)[prices::SavingStep::kTier], *row.cost);
        EXPECT_TRUE(row.waterfall->closes(*row.baseline, *row.cost));
        EXPECT_EQ(row.attempts.front().tier, prices::Tier::kBatch);
    }
}

TEST(BatchTally, WhatIsNotKnownIsNotFree) {
    const auto prices = priced();
    for (const std::string& output :
         {answer(1, 1) + "{\"response\":{\"status_code\":200,\"body\":{}}}\n",
          answer(1, 1) + "broken\n"}) {
        const auto row = row_of(output, prices, 1'000);
        EXPECT_EQ(row.usage_state, prices::UsageState::kMissing) << output;
        EXPECT_FALSE(row.cost) << output;
    }
    prices::Rates rates;
    rates.set(Bucket::kInput, FemtoUsdPerUnit(1));
    rates.set(Bucket::kOutput, FemtoUsdPerUnit(1));
    const auto standard_only = row_of(answer(1, 1), prices::ModelPrices(rates), 1'000);
    EXPECT_EQ(standard_only.usage_state, prices::UsageState::kFinal);
    EXPECT_FALSE(standard_only.cost) << "another tier's price is not its price";
    const auto nothing = row_of("", prices, 1);
    EXPECT_EQ(nothing.cost, PicoUsd(0)) << "nothing was done";
}

TEST(BatchInput, SumsUpTheMostThatItsLinesCanTake) {
    const std::string line =
        R"({"custom_id":"1","url":"/v1/chat/completions","body":{"model":"m","messages":)"
        R"([{"role":"user","content":"hello"}],"max_tokens":100,"n":2}})";
    const auto bound = read_batch_input(line + "\r\n\n" + line);
    ASSERT_TRUE(bound) << bound.error().text();
    EXPECT_EQ(bound->lines, 2);
    EXPECT_EQ(bound->output_tokens, 400);
    EXPECT_GE(bound->input_tokens, 2 * static_cast<std::int64_t>(line.size()));
    EXPECT_EQ(bound->unbounded, 0);
    std::string open = line;
    open.replace(open.find("\"max_tokens\":100"), 16, "\"seed\":1");
    const auto other = read_batch_input(line + "\n" + open);
    ASSERT_TRUE(other) << other.error().text();
    EXPECT_EQ(other->unbounded, 2);
    EXPECT_EQ(other->output_tokens, 200 + 2 * kUsualAnswer);
    const auto bad = read_batch_input(line + "\n\n{}");
    ASSERT_FALSE(bad);
    EXPECT_TRUE(bad.error().message.starts_with("Line 3 ")) << bad.error().message;
}

std::string message_request(int limit, const std::string& more = {}) {
    return fmt::format(R"({{"custom_id":"a","params":{{"model":"m","max_tokens":{},"messages":)"
                       R"([{{"role":"user","content":"hello"}}]{}}}}})",
                       limit, more);
}

TEST(BatchInput, MessageBatchesAreSummedUpLikeFiles) {
    const std::string one = message_request(100);
    const auto bound = read_message_batch(R"({"requests":[)" + one + "," + one + "]}");
    ASSERT_TRUE(bound) << bound.error().text();
    EXPECT_EQ(bound->endpoint, "/v1/messages");
    EXPECT_EQ(bound->model, "m");
    EXPECT_EQ(bound->lines, 2);
    EXPECT_EQ(bound->output_tokens, 200);
    EXPECT_EQ(bound->unbounded, 0);
    const std::string media =
        message_request(1, R"(,"system":[{"type":"\u0069mage","source":{"type":"url"}}])");
    const auto seen = read_message_batch(R"({"requests":[)" + media + "]}");
    ASSERT_TRUE(seen) << seen.error().text();
    EXPECT_GE(seen->input_tokens, 48'000) << "however it is spelled";
    const std::string searching =
        message_request(1, R"(,"tools":[{"type":"web_search_20250305","name":"web_search"}])");
    const auto open = read_message_batch(R"({"requests":[)" + one + "," + searching + "]}");
    ASSERT_TRUE(open) << open.error().text();
    EXPECT_EQ(open->unbounded, 2);
    const auto reason = [](const std::string& text) {
        const auto read = read_message_batch(text);
        return read ? "ok" : read.error().reason;
    };
    EXPECT_EQ(reason(R"({"requests":[]})"), "empty_batch");
    std::string other = one;
    other.replace(other.find("\"m\""), 3, "\"n\"");
    EXPECT_EQ(reason(R"({"requests":[)" + one + "," + other + "]}"), "mixed_batch");
    for (const std::string& bad :
         {std::string("{}"), R"({"requests":[{}]})" + std::string(),
          R"({"requests":[)" + one + R"(],"requests":[]})",
          R"({"requests":[)" + message_request(0) + "]}",
          R"({"requests":[)" + message_request(1, R"(,"stream":true)") + "]}",
          R"({"requests":[)" + message_request(1, R"(,"max_tokens":2)") + "]}",
          R"({"requ\u0065sts":[)" + one + "]}"}) {
        EXPECT_EQ(reason(bad), "invalid_batch_line") << bad;
    }
    const auto named =
        read_message_batch(R"({"requests":[)" + one + "," + message_request(0) + "]}");
    ASSERT_FALSE(named);
    EXPECT_TRUE(named.error().message.starts_with("Request 2 ")) << named.error().message;
    EXPECT_EQ(named.error().param, "requests.1.params");
}

void count_turns(net::EventLoop& loop, int& turns) {
    loop.post([&loop, &turns] {
        ++turns;
        count_turns(loop, turns);
    });
}

Task<void> read_on(net::EventLoop& loop, BatchReader& reader, const std::string& file,
                   std::int64_t& lines) {
    std::function<Result<BatchBound>()> job = [&file] {
        return read_batch_input(file);
    };
    auto reading = reader.read(loop, std::move(job));
    const auto bound = co_await reading.receive();
    lines = bound ? bound->lines : -1;
    loop.stop();
}

TEST(BatchReader, ALoopGoesOnWhileABatchIsRead) {
    net::EventLoop loop;
    BatchReader reader;
    int turns = 0;
    std::int64_t lines = 0;
    const std::string line =
        R"({"custom_id":"1","url":"/v1/chat/completions","body":{"model":"m","messages":)"
        R"([{"role":"user","content":"hello"}],"max_tokens":100}})"
        "\n";
    std::string file;
    for (int i = 0; i < 20'000; ++i) file += line;
    loop.post([&] {
        count_turns(loop, turns);
        loop.spawn(read_on(loop, reader, file, lines));
    });
    loop.run();
    EXPECT_EQ(lines, 20'000);
    EXPECT_GT(turns, 100) << "other work ran meanwhile";
    reader.stop();
}

TEST(BatchPoller, LooksAreFurtherApartWithAgeAndAfterFailures) {
    using std::chrono::minutes;
    BatchesConfig config;
    const auto wait = [&](std::int64_t age_s, std::uint32_t failures, std::uint64_t random = 0) {
        return BatchPoller::wait_before(config, age_s, failures, random);
    };
    EXPECT_EQ(wait(0, 0), minutes(1));
    EXPECT_EQ(wait(20 * 60, 0), minutes(5));
    EXPECT_EQ(wait(86'400, 0), minutes(15));
    EXPECT_EQ(wait(0, 1), minutes(2));
    EXPECT_EQ(wait(0, 3), minutes(8));
    EXPECT_EQ(wait(0, 100), minutes(15));
    Duration last = wait(0, 0);
    for (std::uint64_t random = 0; random < 1'000; random += 37) {
        EXPECT_GE(wait(0, 0, random), last);
        last = wait(0, 0, random);
    }
    EXPECT_GT(last, std::chrono::seconds(71));
    EXPECT_LT(last, std::chrono::seconds(72));
}

StoredBatch batch_of(const std::string& id) {
    StoredBatch out;
    out.provider = "acme";
    out.id = id;
    out.key = "web";
    out.record = RequestId::make(1'800'000'000'000);
    out.ts_us = 1'800'000'000'000'000;
    out.endpoint = "/v1/chat/completions";
    out.model = "ours";
    out.asked = "big-1";
    out.worst_pico_usd = 1'000;
    out.worst_tokens = 10;
    out.scopes = {"global", "team:p"};
    return out;
}

TEST(BatchStore, KeepsOwnersApartAndOverStarts) {
    const TemporaryFolder folder;
    const StoredBatch batch = batch_of("");
    {
        auto store = BatchStore::open(folder.path());
        ASSERT_TRUE(store) << store.error().text();
        ASSERT_TRUE((*store)->add_file({"acme", "file-1", "web", {"/v1/x", "m", 1, 2, 3, 4}}));
        ASSERT_TRUE((*store)->begin_batches(std::span(&batch, 1)));
        StoredBatch named = batch;
        named.id = "batch_1";
        named.state = "validating";
        ASSERT_TRUE((*store)->name_batches(std::span(&named, 1)));
    }
    EXPECT_TRUE(BatchStore::exists(folder.path()));
    auto store = BatchStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().text();
    const auto file = (*store)->find_file("file-1", "web");
    ASSERT_TRUE(file && *file);
    EXPECT_EQ((*file)->bound.unbounded, 4);
    EXPECT_FALSE(*(*store)->find_file("file-1", "other"));
    EXPECT_FALSE(*(*store)->find_file("file-1", ""));
    EXPECT_FALSE(*(*store)->find_batch("batch_1", "other"));
    EXPECT_FALSE(*(*store)->find_batch("", "web"));
    const auto found = (*store)->find_batch("batch_1", "web");
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->record, batch.record);
    EXPECT_EQ((*found)->state, "validating");
    EXPECT_EQ((*found)->scopes, batch.scopes);
    ASSERT_TRUE((*store)->note_state(std::span(&batch, 1), "in_progress", 1'800'086'400));
    const auto open = (*store)->unsettled();
    ASSERT_TRUE(open && open->size() == 1U);
    EXPECT_EQ(open->front().state, "in_progress");
    EXPECT_EQ(open->front().expires_unix_s, 1'800'086'400);
    const std::vector<std::pair<std::string, std::int64_t>> one{{"in_progress", 1}};
    EXPECT_EQ(*(*store)->standings(), one);
    EXPECT_TRUE((*store)->settle_batches(std::span(&batch, 1))->front());
    EXPECT_FALSE((*store)->settle_batches(std::span(&batch, 1))->front()) << "it is already";
    EXPECT_TRUE((*store)->unsettled()->empty());
    EXPECT_TRUE((*store)->standings()->empty());
    ASSERT_TRUE((*store)->remove_file(**file));
    EXPECT_FALSE(*(*store)->find_file("file-1", "web"));
}

TEST(BatchStore, AGatheredRequestIsNobodysBatch) {
    const TemporaryFolder folder;
    auto store = BatchStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().text();
    std::array both{batch_of("batch_1"), batch_of("batch_1")};
    for (StoredBatch& one : both) one.line = one.record.text();
    both[1].route = "patient";
    ASSERT_TRUE((*store)->begin_batches(both));
    EXPECT_FALSE((*store)->begin_batches(both)) << "all of them or none";
    EXPECT_FALSE(*(*store)->find_batch("batch_1", "web"));
    const auto open = (*store)->unsettled();
    ASSERT_TRUE(open && open->size() == 2U);
    for (const StoredBatch& one : *open) EXPECT_EQ(one.line, one.record.text());
    EXPECT_EQ((*open)[0].route + (*open)[1].route, "patient");
    ASSERT_TRUE((*store)->settle_batches(std::span(both).first(1)));
    EXPECT_EQ(*(*store)->settle_batches(both), (std::vector<bool>{false, true}));
    ASSERT_TRUE((*store)->drop_batches(both));
    EXPECT_TRUE((*store)->all()->empty());
}

TEST(LineFeed, LinesAreWholeHoweverTheTextIsCut) {
    const std::string text = "a\n\n \nbc\r\n\nd";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        LineFeed feed;
        std::string seen;
        const auto take = [&](std::string_view line) {
            seen += "[" + std::string(line) + "]";
        };
        for (std::size_t at = 0; at < text.size(); at += step)
            feed.feed(std::string_view(text).substr(at, step), take);
        feed.finish(take);
        EXPECT_EQ(seen, "[a][bc\r][d]") << step;
    }
}

TEST(BatchSettlement, PostedTwiceItCostsOnce) {
    const TemporaryFolder folder;
    auto store = BatchStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().text();
    const StoredBatch batch = batch_of("batch_1");
    ASSERT_TRUE((*store)->begin_batches(std::span(&batch, 1)));
    for (int start = 0; start < 2; ++start) {
        ledger::LedgerOptions options;
        options.state_dir = folder.path();
        auto ledger = ledger::Ledger::open(options);
        ASSERT_TRUE(ledger) << ledger.error().text();
        for (int time = 0; time < 2; ++time) {
            ledger::RequestRecord row = row_of(batch);
            row.cost = row.attempts.front().cost = PicoUsd(700);
            row.usage_state = row.attempts.front().usage_state = prices::UsageState::kFinal;
            ASSERT_TRUE(
                post_batches(std::span(&batch, 1), {row}, (*ledger)->sink(0), nullptr, **store));
            ASSERT_TRUE((*ledger)->flush());
        }
        EXPECT_EQ((*ledger)->stats().open_intents, 0U);
        EXPECT_EQ((*store)->counters().settled, 1U);
        EXPECT_EQ((*store)->counters().cost_pico_usd, 700);
        const auto spent = ledger::read_spending(folder.path(), Secret(), 0);
        ASSERT_TRUE(spent) << spent.error().text();
        ASSERT_EQ(spent->size(), 2U) << "global and team";
        for (const auto& one : *spent) EXPECT_EQ(one.spent, PicoUsdSum(Int128{700})) << one.scope;
    }
}

TEST(BatchSettlement, WhatNobodyKnowsStaysChargedAsReserved) {
    const TemporaryFolder folder;
    auto store = BatchStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().text();
    const StoredBatch lost = batch_of("");
    StoredBatch running = batch_of("batch_2");
    running.scopes = {"team:p"};
    const std::array both{lost, running};
    ASSERT_TRUE((*store)->begin_batches(both));
    ledger::LedgerOptions options;
    options.state_dir = folder.path();
    auto ledger = ledger::Ledger::open(options);
    ASSERT_TRUE(ledger) << ledger.error().text();
    budget::Book book;
    budget::BudgetSpec spec;
    spec.name = "p";
    spec.scope = budget::ScopeKind::kTeam;
    spec.match = "p";
    spec.unit = budget::Unit::kUsd;
    spec.limit = 2'500;
    const std::int64_t now_s = 1'800'000'000;
    book.configure({spec}, {}, now_s);
    resume_batches(**store, &(*ledger)->sink(0), &book);
    const std::vector<budget::Scope> scopes{{budget::ScopeKind::kTeam, "p"}};
    EXPECT_EQ(book.room(scopes, now_s).pico_usd, 500) << "one is posted, the other pending";
    ASSERT_TRUE((*ledger)->flush());
    const auto open = (*store)->unsettled();
    ASSERT_TRUE(open);
    ASSERT_EQ(open->size(), 1U);
    EXPECT_EQ(open->front().id, "batch_2");
}

}  // namespace
}  // namespace leeway::app
