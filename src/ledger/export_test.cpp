#include "ledger/export.hpp"

#include "ledger/ledger.hpp"
#include "ledger/testing.hpp"
#include "ledger/time_text.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace leeway::ledger {
namespace {

using testing::ordinary_record;
using testing::random_record;
using testing::TemporaryFolder;

std::vector<std::string> export_lines(const std::string& state_dir, const std::string& since = {}) {
    char* data = nullptr;
    std::size_t size = 0;
    std::FILE* file = ::open_memstream(&data, &size);
    EXPECT_EQ(run_export({.state_dir = state_dir, .since = since}, file, stderr), 0);
    std::fclose(file);
    std::vector<std::string> lines;
    for (std::size_t start = 0; start < size;) {
        const char* end = static_cast<const char*>(std::memchr(data + start, '\n', size - start));
        if (end == nullptr) {
            ADD_FAILURE() << "a line without an end";
            break;
        }
        lines.emplace_back(data + start, static_cast<std::size_t>(end - data) - start);
        start = static_cast<std::size_t>(end - data) + 1;
    }
    ::free(data);
    return lines;
}

void store(const TemporaryFolder& folder, const std::vector<RequestRecord>& records) {
    const auto ledger = Ledger::open({.state_dir = folder.path()});
    ASSERT_TRUE(ledger);
    for (const RequestRecord& record : records) {
        ASSERT_TRUE((*ledger)->sink(0).append(record));
    }
    ASSERT_TRUE((*ledger)->flush());
}

TEST(LedgerExport, WritesOneLinePerAttemptWithTheBaselineOnTheLast) {
    const TemporaryFolder folder;
    auto record = ordinary_record(1'700'006'400'250'000);
    auto failed = record.attempts[0];
    failed.http_status = 500;
    failed.end = EndState::kError;
    failed.usage_state = prices::UsageState::kMissing;
    failed.cost = std::nullopt;
    failed.finish_reason.clear();
    failed.model_reported = failed.model;
    record.attempts.insert(record.attempts.begin(), failed);
    record.attempts[1].number = 2;
    store(folder, {record});
    const auto lines = export_lines(folder.path());
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0],
              R"({"id":")" + record.id.text() +
                  R"(","attempt":1,"ts":"2023-11-15T00:00:00.250000Z","key":"team-travel",)"
                  R"("route":"default","endpoint":"chat.completions",)"
                  R"("user":"ada","tags":["beta","team=search"],"session":"s-1",)"
                  R"("agent":"planner","provider":"openai",)"
                  R"("model":"gpt-4o-mini","model_reported":"gpt-4o-mini","status":500,)"
                  R"("end":"error","usage":null,"cost_pico_usd":null,"finish_reason":null,)"
                  R"("latency_ms":1230,"baseline_pico_usd":null,"cache":null,"stream":true,)"
                  R"("error":null})");
    EXPECT_EQ(lines[1],
              R"({"id":")" + record.id.text() +
                  R"(","attempt":2,"ts":"2023-11-15T00:00:00.250000Z","key":"team-travel",)"
                  R"("route":"default","endpoint":"chat.completions",)"
                  R"("user":"ada","tags":["beta","team=search"],"session":"s-1",)"
                  R"("agent":"planner","provider":"openai",)"
                  R"("model":"gpt-4o-mini","model_reported":"gpt-4o-mini-2024-07-18",)"
                  R"("status":200,"end":"ok","usage":{"state":"final","prompt_tokens":1000,)"
                  R"("completion_tokens":250,"total_tokens":1250,"buckets":{"input":900,)"
                  R"("cached_input":100,"cache_write_input":0,"audio_input":0,"output":250,)"
                  R"("reasoning_output":0,"audio_output":0}},"cost_pico_usd":292500000,)"
                  R"("finish_reason":"stop","latency_ms":1230,"baseline_pico_usd":4875000000,)"
                  R"("waterfall":null,"cache":null,"stream":true,"error":null})");
}

TEST(LedgerExport, ARequestWithoutAnAttemptIsOneFreeLine) {
    const TemporaryFolder folder;
    auto hit = ordinary_record();
    hit.source = Source::kExactCache;
    hit.cost = PicoUsd(0);
    hit.attempts.clear();
    auto refused = ordinary_record(hit.ts_us + 10'000);
    refused.source = Source::kGateway;
    refused.end = EndState::kError;
    refused.http_status = 404;
    refused.model.clear();
    refused.model_asked = "no-such-model";
    refused.error = "model_not_found";
    refused.usage_state = prices::UsageState::kMissing;
    refused.cost = refused.baseline = std::nullopt;
    refused.attempts.clear();
    store(folder, {hit, refused});
    const auto lines = export_lines(folder.path());
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_NE(lines[0].find(R"("attempt":0)"), std::string::npos);
    EXPECT_NE(lines[0].find(R"("cost_pico_usd":0,)"), std::string::npos);
    EXPECT_NE(lines[0].find(R"("baseline_pico_usd":4875000000,"waterfall":null,"cache":"exact")"),
              std::string::npos);
    EXPECT_NE(lines[1].find(R"("model":"no-such-model","model_reported":null,"status":404)"),
              std::string::npos)
        << lines[1];
    EXPECT_NE(lines[1].find(R"("usage":null,"cost_pico_usd":0,)"), std::string::npos);
    EXPECT_NE(lines[1].find(R"("error":"model_not_found")"), std::string::npos);
}

TEST(LedgerExport, EveryLineIsJsonAndSumsAgreeWithTheRecords) {
    const TemporaryFolder folder;
    std::mt19937_64 rng(9);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 2500; ++i) records.push_back(random_record(rng));
    store(folder, records);
    PicoUsdSum expected_cost;
    PicoUsdSum expected_baseline;
    std::size_t expected_lines = 0;
    const std::int64_t since = 1'700'300'000'000'000;
    std::size_t expected_since = 0;
    for (const RequestRecord& r : records) {
        const std::size_t lines = std::max<std::size_t>(r.attempts.size(), 1);
        expected_lines += lines;
        if (r.ts_us >= since) expected_since += lines;
        if (r.baseline) expected_baseline.add(*r.baseline);
        for (const AttemptRow& a : r.attempts) {
            if (a.cost) expected_cost.add(*a.cost);
        }
    }
    const auto lines = export_lines(folder.path());
    EXPECT_EQ(lines.size(), expected_lines);
    PicoUsdSum cost;
    PicoUsdSum baseline;
    std::string previous;
    simdjson::dom::parser parser;
    for (const std::string& line : lines) {
        const simdjson::padded_string padded(line);
        simdjson::dom::element value;
        ASSERT_EQ(parser.parse(padded).get(value), simdjson::SUCCESS) << line;
        const std::string id(value["id"].get_string().value());
        EXPECT_LE(previous, id);
        previous = id;
        std::int64_t amount = 0;
        if (value["cost_pico_usd"].get_int64().get(amount) == simdjson::SUCCESS) {
            cost.add(PicoUsd(amount));
        }
        if (value["baseline_pico_usd"].get_int64().get(amount) == simdjson::SUCCESS) {
            baseline.add(PicoUsd(amount));
        }
    }
    EXPECT_EQ(cost, expected_cost);
    EXPECT_EQ(baseline, expected_baseline);
    EXPECT_EQ(export_lines(folder.path(), iso_time(since)).size(), expected_since);
}

TEST(LedgerExport, ReadsWhileTheGatewayWritesAndWhenThereIsNoLedger) {
    const TemporaryFolder folder;
    EXPECT_TRUE(export_lines(folder.path()).empty());
    const auto ledger = Ledger::open({.state_dir = folder.path()});
    ASSERT_TRUE(ledger);
    ASSERT_TRUE((*ledger)->sink(0).append(ordinary_record()));
    ASSERT_TRUE((*ledger)->flush());
    EXPECT_EQ(export_lines(folder.path()).size(), 1U);
    EXPECT_EQ(export_lines(folder.path(), "24h").size(), 1U);
}

}  // namespace
}  // namespace leeway::ledger
