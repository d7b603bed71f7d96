#include "ledger/cost_differences.hpp"

#include "ledger/commitments.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace leeway::ledger {
namespace {

using testing::ordinary_record;
using testing::random_record;

constexpr std::int64_t kDayUs = 86'400'000'000;

std::unique_ptr<RowWriter> writer_of(const std::vector<RequestRecord>& records) {
    auto writer =
        RowWriter::open(store::sql::Target(":memory:"), store::sqlite::Durability::kNormal);
    if (!writer || !(*writer)->begin()) std::abort();
    for (const RequestRecord& record : records) {
        if (!(*writer)->add(record)) std::abort();
    }
    if (!(*writer)->commit()) std::abort();
    return std::move(*writer);
}

/// One attempt that we price at `own` and the provider at `reported`; negative: not told.
RequestRecord told(std::int64_t own, std::int64_t reported,
                   std::int64_t ts_us = 1'700'000'000'000'000) {
    RequestRecord r = ordinary_record(ts_us);
    AttemptRow& a = r.attempts.at(0);
    a.provider = r.provider = "router";
    a.computed_cost = own < 0 ? std::nullopt : std::optional(PicoUsd(own));
    a.reported_cost = reported < 0 ? std::nullopt : std::optional(PicoUsd(reported));
    r.cost = a.cost = a.reported_cost ? a.reported_cost : a.computed_cost;
    return r;
}

TEST(CostDifferences, AgreeWithTheRowsForAnyRange) {
    std::mt19937_64 rng(6);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 800; ++i) records.push_back(random_record(rng));
    const auto writer = writer_of(records);
    for (int i = 0; i < 30; ++i) {
        CostDifferenceQuery query;
        query.tolerance_bp = static_cast<std::int64_t>(rng() % 12'000);
        query.worst = rng() % 4;
        if (i % 3 != 0)
            query.report.since_us =
                1'700'000'000'000'000 + static_cast<std::int64_t>(rng() % (5 * kDayUs));
        if (i % 4 != 0)
            query.report.until_us =
                1'700'400'000'000'000 + static_cast<std::int64_t>(rng() % (5 * kDayUs));
        if (i % 2 == 0)
            query.report.filters = {{ReportBy::kTag, "beta"}, {ReportBy::kProvider, "openai"}};
        std::map<std::pair<std::string, std::string>, CostDifferenceRow> expected;
        for (const RequestRecord& r : records) {
            if (r.ts_us < query.report.since_us.value_or(INT64_MIN)) continue;
            if (r.ts_us >= query.report.until_us.value_or(INT64_MAX)) continue;
            if (i % 2 == 0 && !r.tags.starts_with("beta")) continue;
            for (const AttemptRow& a : r.attempts) {
                if (!a.reported_cost || (i % 2 == 0 && a.provider != "openai")) continue;
                CostDifferenceRow& row = expected[{a.provider, a.model}];
                ++row.attempts;
                if (!a.computed_cost) {
                    ++row.unpriced;
                    row.unpriced_reported.add(*a.reported_cost);
                    continue;
                }
                ++row.compared;
                row.own.add(*a.computed_cost);
                row.reported.add(*a.reported_cost);
                // In long double, near enough for figures that are drawn at random.
                const auto own = static_cast<long double>(a.computed_cost->value());
                const auto theirs = static_cast<long double>(a.reported_cost->value());
                const auto limit = std::max(std::abs(own), std::abs(theirs)) *
                                   static_cast<long double>(query.tolerance_bp) / 10'000;
                row.beyond += std::abs(theirs - own) > limit ? 1 : 0;
                row.worst.push_back({r.id, a.number, *a.computed_cost, *a.reported_cost});
            }
        }
        const auto report = build_cost_differences(writer->database(), query);
        ASSERT_TRUE(report) << report.error().text();
        EXPECT_TRUE(report->notes.empty());
        ASSERT_EQ(report->rows.size(), expected.size());
        std::int64_t total = 0;
        for (const CostDifferenceRow& row : report->rows) {
            CostDifferenceRow& want = expected.at({row.provider, row.model});
            EXPECT_EQ(row.attempts, want.attempts);
            EXPECT_EQ(row.compared, want.compared);
            EXPECT_EQ(row.beyond, want.beyond);
            EXPECT_EQ(row.own, want.own);
            EXPECT_EQ(row.reported, want.reported);
            EXPECT_EQ(row.unpriced, want.unpriced);
            EXPECT_EQ(row.unpriced_reported, want.unpriced_reported);
            const auto size = [](const CostDifference& one) {
                return one.difference() < 0 ? -one.difference() : one.difference();
            };
            std::sort(want.worst.begin(), want.worst.end(),
                      [&](const auto& a, const auto& b) { return size(a) > size(b); });
            ASSERT_EQ(row.worst.size(), std::min(query.worst, want.worst.size()));
            for (std::size_t n = 0; n < row.worst.size(); ++n) {
                EXPECT_EQ(size(row.worst[n]), size(want.worst[n]));
            }
            total += row.attempts;
        }
        EXPECT_EQ(report->total.attempts, total);
    }
}

TEST(CostDifferences, ShowEveryPicodollarAndNothingWhereNothingIsKnown) {
    const auto writer =
        writer_of({told(2'800'000'000, 2'800'000'001), told(100, 100), told(-1, 7), told(100, -1)});
    const auto report = build_cost_differences(writer->database(), {});
    ASSERT_TRUE(report);
    ASSERT_EQ(report->rows.size(), 1U);
    EXPECT_EQ(report->rows[0].beyond, 0);
    EXPECT_EQ(report->rows[0].worst.size(), 1U) << "equal figures are no difference";
    const std::string table = render_cost_differences_table(*report, false);
    EXPECT_NE(table.find("$0.0028000001  $0.002800000101  $0.000000000001"), std::string::npos)
        << table;
    EXPECT_NE(table.find("1 calls, reported as $0.000000000007, have no price"), std::string::npos);
    const auto unknown = build_cost_differences(writer_of({told(-1, 7)})->database(), {});
    ASSERT_TRUE(unknown);
    const std::string csv = render_cost_differences_csv(*unknown);
    EXPECT_NE(csv.find("router,gpt-4o-mini,1,0,0,,,,,,,1,7,\n"), std::string::npos) << csv;
    EXPECT_NE(render_cost_differences_json(*unknown).find("\"difference_usd\":null"),
              std::string::npos);
}

TEST(CostDifferences, SayWhereRowsAreGone) {
    const auto writer = writer_of({told(1, 2), told(3, 5, 1'700'000'000'000'000 + 3 * kDayUs)});
    ASSERT_TRUE(
        writer->database().exec("DELETE FROM request WHERE ts_us = 1700000000000000;"
                                "DELETE FROM attempt WHERE computed_cost_pico_usd = 1"));
    const auto all = build_cost_differences(writer->database(), {});
    ASSERT_TRUE(all);
    ASSERT_EQ(all->notes.size(), 1U);
    EXPECT_NE(all->notes[0].find("before 2023-11-17"), std::string::npos) << all->notes[0];
    CostDifferenceQuery late;
    late.report.since_us = 1'700'000'000'000'000 + 3 * kDayUs;
    const auto kept = build_cost_differences(writer->database(), late);
    ASSERT_TRUE(kept);
    EXPECT_TRUE(kept->notes.empty());
    EXPECT_EQ(kept->total.reported, PicoUsdSum(5));
}

TEST(Commitments, CountWhatTheProvidersModelsCostInTheWindow) {
    std::vector<RequestRecord> records;
    const std::int64_t november = 1'698'796'800'000'000;  // 2023-11-01
    std::map<std::string, PicoUsdSum> sums;
    std::int64_t unknown = 0;
    for (int i = 0; i < 400; ++i) {
        RequestRecord r = ordinary_record(november + (i % 60 - 20) * kDayUs + i);
        AttemptRow first = r.attempts[0];
        // An attempt that failed is paid to whom it was sent, not to whoever answered.
        first.provider = i % 3 == 0 ? "acme" : "other";
        first.model = i % 2 == 0 ? "big-1" : "small";
        first.cost = i % 9 == 0 ? std::nullopt : std::optional(PicoUsd(1'000'003 + i));
        r.attempts.insert(r.attempts.begin(), first);
        r.attempts[1].number = 2;
        const bool counts = first.provider == "acme" && i % 60 >= 20 && i % 60 <= 40;
        if (counts && first.cost) sums[first.model].add(*first.cost);
        if (counts && !first.cost) ++unknown;
        records.push_back(std::move(r));
    }
    const auto writer = writer_of(records);
    ASSERT_TRUE(writer->database().exec("DELETE FROM request; DELETE FROM attempt"));
    prices::Commitment all{.name = "all", .provider = "acme", .amount = PicoUsd(30'000'000)};
    prices::Commitment big{
        .name = "big", .provider = "acme", .amount = PicoUsd(5), .models = {"big*"}};
    prices::Commitment idle{.name = "idle", .provider = "nobody", .amount = PicoUsd(5)};
    const prices::Commitment commitments[] = {all, big, idle};
    const auto report = build_commitments(writer->database(), commitments, november + 20 * kDayUs);
    ASSERT_TRUE(report) << report.error().text();
    PicoUsdSum both = sums.at("big-1");
    both.add(sums.at("small"));
    const auto& standings = report->standings;
    EXPECT_EQ(standings[0].used(), both);
    EXPECT_EQ(standings[0].unknown_cost, unknown);
    EXPECT_GT(unknown, 0);
    EXPECT_EQ(standings[1].used(), sums.at("big-1"));
    EXPECT_EQ(standings[1].left(), PicoUsdSum(0));
    EXPECT_EQ(standings[1].beyond(), sums.at("big-1").minus(PicoUsdSum(5)));
    EXPECT_EQ(standings[2].used(), PicoUsdSum(0));
    EXPECT_EQ(standings[2].left(), PicoUsdSum(5));
}

TEST(Commitments, AreUnknownWhereNoCostIsKnown) {
    const auto writer = writer_of({told(-1, -1)});
    const prices::Commitment commitments[] = {
        {.name = "c", .provider = "router", .amount = PicoUsd(5)}};
    const auto report = build_commitments(writer->database(), commitments, 1'700'000'000'000'000);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->standings[0].used(), std::nullopt);
    EXPECT_EQ(report->standings[0].left(), std::nullopt);
    const std::string csv = render_commitments_csv(*report);
    EXPECT_NE(csv.find(",running,0.000000000005,,,,5,,,,1,1\n"), std::string::npos) << csv;
    EXPECT_NE(render_commitments_table(*report, false).find("$0.000000000005  unknown  unknown"),
              std::string::npos);
    EXPECT_NE(render_commitments_json(*report).find("\"left_pico_usd\":null"), std::string::npos);
}

}  // namespace
}  // namespace leeway::ledger
