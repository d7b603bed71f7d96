#include "ledger/report.hpp"

#include "ledger/reader.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"
#include "ledger/time_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <sstream>

namespace leeway::ledger {
namespace {

using testing::ordinary_record;
using testing::random_record;
using testing::TemporaryFolder;

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::int64_t kStart = 1'700'006'400'000'000;  // 2023-11-15, midnight

std::unique_ptr<RowWriter> writer_of(const TemporaryFolder& folder,
                                     const std::vector<RequestRecord>& records) {
    std::filesystem::create_directories(ledger_folder(folder.path()));
    auto writer = RowWriter::open(database_path(folder.path()), store::sqlite::Durability::kNormal);
    if (!writer || !(*writer)->begin()) std::abort();
    for (const RequestRecord& record : records) {
        if (!(*writer)->add(record)) std::abort();
    }
    if (!(*writer)->commit()) std::abort();
    return std::move(*writer);
}

std::string text_of(const std::function<int(std::FILE*)>& write) {
    char* data = nullptr;
    std::size_t size = 0;
    std::FILE* file = ::open_memstream(&data, &size);
    EXPECT_EQ(write(file), 0);
    std::fclose(file);
    std::string out(data, size);
    ::free(data);
    return out;
}

/// What a record belongs to: one value, or its tags.
std::vector<std::string> values_of(const RequestRecord& r, ReportBy by) {
    switch (by) {
        case ReportBy::kDay: return {iso_day(day_of(r.ts_us))};
        case ReportBy::kHour: return {iso_time(r.ts_us).substr(0, 13) + ":00Z"};
        case ReportBy::kKey: return {r.key};
        case ReportBy::kUser: return {r.user};
        case ReportBy::kRoute: return {r.route};
        case ReportBy::kModel: return {r.model};
        case ReportBy::kProvider: return {r.provider};
        case ReportBy::kSession: return {r.session};
        case ReportBy::kAgent: return {r.agent};
        case ReportBy::kTag: break;
    }
    std::vector<std::string> out;
    std::stringstream words(r.tags);
    for (std::string word; std::getline(words, word, ',');) out.push_back(word);
    if (out.empty()) out.emplace_back();
    return out;
}

TEST(LedgerReport, AgreesWithTheRowsForAnyRangeAndGrouping) {
    const TemporaryFolder folder;
    std::mt19937_64 rng(5);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 3000; ++i) records.push_back(random_record(rng));
    const auto writer = writer_of(folder, records);
    const auto moment = [&] {
        const auto ts = static_cast<std::int64_t>(1'699'990'000'000'000 + rng() % (11 * kDayUs));
        return rng() % 3 == 0 ? ts / kDayUs * kDayUs : ts;
    };
    for (int i = 0; i < 300; ++i) {
        ReportQuery query;
        query.by = {static_cast<ReportBy>(rng() % 10)};
        if (rng() % 3 == 0) {
            const auto second = static_cast<ReportBy>(rng() % 10);
            if (second != query.by[0]) query.by.push_back(second);
        }
        if (rng() % 4 != 0) query.since_us = moment();
        if (rng() % 4 != 0) query.until_us = moment();
        for (std::uint64_t n = rng() % 3; n > 0; --n) {
            const auto by = static_cast<ReportBy>(2 + rng() % 8);
            const auto& values = values_of(records[rng() % records.size()], by);
            query.filters.push_back({by, values[rng() % values.size()]});
        }
        std::map<std::vector<std::string>, Totals> expected;
        Totals total;
        for (const RequestRecord& r : records) {
            if (r.ts_us < query.since_us.value_or(INT64_MIN)) continue;
            if (r.ts_us >= query.until_us.value_or(INT64_MAX)) continue;
            if (!std::all_of(query.filters.begin(), query.filters.end(), [&](const auto& filter) {
                    const auto values = values_of(r, filter.by);
                    return std::find(values.begin(), values.end(), filter.value) != values.end();
                })) {
                continue;
            }
            for (const std::string& first : values_of(r, query.by[0])) {
                if (query.by.size() == 1) {
                    expected[{first}].add(r);
                    continue;
                }
                for (const std::string& second : values_of(r, query.by[1])) {
                    expected[{first, second}].add(r);
                }
            }
            total.add(r);
        }
        const auto report = build_report(writer->database(), query);
        ASSERT_TRUE(report) << report.error().text();
        ASSERT_EQ(report->rows.size(), expected.size());
        for (const ReportRow& row : report->rows) {
            EXPECT_EQ(row.totals, expected.at(row.groups)) << row.groups[0];
        }
        EXPECT_EQ(report->totals, total);
    }
}

TEST(LedgerReport, ShowsSpentBaselineSavedAndHits) {
    const TemporaryFolder folder;
    auto paid = ordinary_record(kStart);
    auto hit = ordinary_record(kStart + kDayUs);
    hit.source = Source::kExactCache;
    hit.cost = PicoUsd(0);
    hit.attempts.clear();
    auto unknown = ordinary_record(kStart + kDayUs);
    unknown.cost = unknown.baseline = std::nullopt;
    unknown.key = "a, \"b\"";
    auto dearer = ordinary_record(kStart + 2 * kDayUs);
    dearer.cost = PicoUsd(5'000'000'000);
    const auto writer = writer_of(folder, {paid, hit, unknown, dearer});

    const auto by_day = build_report(writer->database(), {});
    ASSERT_TRUE(by_day);
    EXPECT_EQ(render_csv(*by_day),
              "day,requests,errors,input_tokens,output_tokens,spent_usd,baseline_usd,saved_usd,"
              "spent_pico_usd,baseline_pico_usd,saved_pico_usd,hits,hit_rate,"
              "unknown_price_requests,unknown_price_share\n"
              "2023-11-15,1,0,1000,250,0.0002925,0.004875,0.0045825,292500000,4875000000,"
              "4582500000,0,0.000000,0,0.000000\n"
              "2023-11-16,2,0,2000,500,0,0.004875,0.004875,0,4875000000,4875000000,1,0.500000,1,"
              "0.500000\n"
              "2023-11-17,1,0,1000,250,0.005,0.004875,-0.000125,5000000000,4875000000,-125000000,"
              "0,0.000000,0,0.000000\n");
    const std::string table = render_table(*by_day, false);
    EXPECT_NE(table.find("2023-11-17"), std::string::npos);
    EXPECT_NE(table.find("-$0.000125"), std::string::npos) << table;
    EXPECT_NE(table.find("█"), std::string::npos);
    EXPECT_NE(table.find("unknown price"), std::string::npos);
    EXPECT_EQ(table.find('\x1b'), std::string::npos);
    EXPECT_NE(render_table(*by_day, true).find('\x1b'), std::string::npos);

    const auto by_key = build_report(writer->database(), {.by = {ReportBy::kKey}});
    ASSERT_TRUE(by_key);
    const std::string json = render_json(*by_key);
    EXPECT_NE(json.find(R"("group":"a, \"b\"","requests":1)"), std::string::npos) << json;
    EXPECT_NE(json.find(R"("spent_usd":null,"spent_pico":null,"spent_pico_usd":null)"),
              std::string::npos);
    EXPECT_NE(json.find(R"("spent_usd":"0.0052925","spent_pico":"5292500000",)"
                        R"("spent_pico_usd":5292500000)"),
              std::string::npos);
    EXPECT_NE(render_table(*by_key, false).find("unknown"), std::string::npos);
    EXPECT_NE(render_csv(*by_key).find("\"a, \"\"b\"\"\",1,"), std::string::npos);
}

TEST(LedgerReport, SaysWhatToDoBeforeTheFirstRequest) {
    const TemporaryFolder folder;
    ReportOptions options;
    options.state_dir = folder.path();
    EXPECT_NE(text_of([&](std::FILE* out) {
                  return run_report(options, out, stderr);
              }).find("leeway serve"),
              std::string::npos);
    options.format = ReportFormat::kJson;
    EXPECT_NE(text_of([&](std::FILE* out) {
                  return run_report(options, out, stderr);
              }).find(R"("rows":[])"),
              std::string::npos);
}

TEST(LedgerReport, RefusesATimeItCannotRead) {
    const TemporaryFolder folder;
    ReportOptions options;
    options.state_dir = folder.path();
    options.since = "yesterday";
    const auto text = text_of([&](std::FILE* err) {
        EXPECT_EQ(run_report(options, stdout, err), 1);
        return 0;
    });
    EXPECT_NE(text.find("'yesterday' is no time"), std::string::npos) << text;
    EXPECT_NE(text.find("7d"), std::string::npos) << text;
}

TEST(LedgerReport, ShowsMoneyWithThreeDigitsThatMatter) {
    const auto show = [](Int128 pico) {
        return display_usd(PicoUsdSum(pico));
    };
    constexpr Int128 kUsd = 1'000'000'000'000;
    EXPECT_EQ(show(0), "0.00");
    EXPECT_EQ(show(1'234'567 * kUsd + kUsd / 2), "1,234,567.50");
    EXPECT_EQ(show(kUsd), "1.00");
    EXPECT_EQ(show(kUsd * 999 / 1000), "0.999");
    EXPECT_EQ(show(292'500'000), "0.000293");
    EXPECT_EQ(show(-292'500'000), "-0.000293");
    EXPECT_EQ(show(1), "0.000000000001");
    EXPECT_EQ(show(kUsd * 9'999 / 10'000), "1.000");
}

TEST(LedgerTime, ReadsDatesTimesAndDurations) {
    const std::int64_t now = kStart + 5 * kDayUs;
    EXPECT_EQ(*parse_time("2023-11-15", now), kStart);
    EXPECT_EQ(*parse_time("2023-11-15T00:00Z", now), kStart);
    EXPECT_EQ(*parse_time("2023-11-15 01:02:03.5", now), kStart + 3'723'500'000);
    EXPECT_EQ(*parse_time("2023-11-15T02:00+02:00", now), kStart);
    EXPECT_EQ(*parse_time("2023-11-14T22:30:00-01:30", now), kStart);
    EXPECT_EQ(*parse_time("24h", now), now - kDayUs);
    EXPECT_EQ(*parse_time("2w", now), now - 14 * kDayUs);
    for (const char* bad : {"", "d", "7", "7x", "2023-13-01", "2023-02-30", "2023-11-15T",
                            "2023-11-15T25:00", "2023-11-15T01:00+0200", "2023-11-15Z", "-7d"}) {
        EXPECT_FALSE(parse_time(bad, now)) << bad;
    }
    EXPECT_EQ(iso_time(kStart + 3'723'500'000), "2023-11-15T01:02:03.500000Z");
    EXPECT_EQ(iso_time(-1), "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace leeway::ledger
