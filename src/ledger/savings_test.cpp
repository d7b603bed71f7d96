#include "ledger/savings.hpp"

#include "ledger/bill.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

namespace leeway::ledger {
namespace {

using testing::random_record;
using testing::TemporaryFolder;

TEST(LedgerSavings, AgreeWithTheRowsForAnyRangeAndFilter) {
    const TemporaryFolder folder;
    std::filesystem::create_directories(ledger_folder(folder.path()));
    auto writer = RowWriter::open(database_path(folder.path()), store::sqlite::Durability::kNormal);
    ASSERT_TRUE(writer && (*writer)->begin());
    std::mt19937_64 rng(12);
    std::vector<RequestRecord> records;
    for (int i = 0; i < 2000; ++i) {
        records.push_back(random_record(rng));
        ASSERT_TRUE((*writer)->add(records.back()));
    }
    ASSERT_TRUE((*writer)->commit());
    for (int i = 0; i < 60; ++i) {
        ReportQuery query;
        const auto moment = [&] {
            return static_cast<std::int64_t>(1'699'990'000'000'000 + rng() % (11 * kDayUs));
        };
        if (rng() % 3 != 0) query.since_us = moment();
        if (rng() % 3 != 0) query.until_us = moment();
        if (rng() % 2 == 0) query.filters.push_back({ReportBy::kRoute, "cheap"});
        if (rng() % 3 == 0) query.filters.push_back({ReportBy::kTag, rng() % 2 == 0 ? "beta" : ""});
        if (rng() % 3 == 0) query.filters.push_back({ReportBy::kUser, rng() % 2 == 0 ? "ada" : ""});
        SavingsReport want;
        std::int64_t held_out = 0;
        for (const RequestRecord& r : records) {
            const bool fits = std::all_of(
                query.filters.begin(), query.filters.end(), [&](const ReportFilter& filter) {
                    if (filter.by == ReportBy::kRoute) return r.route == filter.value;
                    if (filter.by == ReportBy::kUser) return r.user == filter.value;
                    if (filter.value.empty()) return r.tags.empty();
                    return ("," + r.tags + ",").find("," + filter.value + ",") != std::string::npos;
                });
            if (!fits || r.ts_us < query.since_us.value_or(INT64_MIN) ||
                r.ts_us >= query.until_us.value_or(INT64_MAX)) {
                continue;
            }
            held_out += r.arm == Arm::kHeldOut ? 1 : 0;
            if (!r.waterfall) {
                ++want.unknown;
                continue;
            }
            ++want.known;
            want.baseline.add(*r.baseline);
            want.actual.add(*r.cost);
            for (std::size_t step = 0; step < prices::kSavingSteps; ++step) {
                const auto label = static_cast<std::size_t>(r.waterfall->labels[step]);
                want.steps[step].by_label[label].add(r.waterfall->saved[step]);
            }
        }
        const auto got = build_savings((*writer)->database(), query);
        ASSERT_TRUE(got) << got.error().text();
        EXPECT_EQ(got->known, want.known);
        EXPECT_EQ(got->unknown, want.unknown);
        EXPECT_EQ(got->baseline, want.baseline);
        EXPECT_EQ(got->actual, want.actual);
        for (std::size_t step = 0; step < prices::kSavingSteps; ++step) {
            EXPECT_EQ(got->steps[step].by_label, want.steps[step].by_label) << step;
        }
        std::int64_t compared = 0;
        for (const Comparison& c : got->comparisons) compared += c.held_out.requests;
        EXPECT_EQ(compared, held_out);
    }
}

ArmTotals arm_of(std::initializer_list<std::int64_t> costs, int times) {
    ArmTotals out;
    for (int i = 0; i < times; ++i) {
        for (const std::int64_t cost : costs) {
            ++out.requests;
            ++out.known;
            out.spent.add(PicoUsd(cost));
            const double usd = static_cast<double>(cost) / 1e12;
            out.squares_usd2 += usd * usd;
        }
    }
    return out;
}

TEST(LedgerSavings, ClaimsNothingWithoutEvidence) {
    constexpr std::int64_t kCent = 10'000'000'000;
    using Claim = Comparison::Claim;
    EXPECT_EQ(compare_arms("r", arm_of({kCent}, 1000), arm_of({9 * kCent}, 29)).claim,
              Claim::kTooLittle);
    EXPECT_EQ(compare_arms("r", arm_of({kCent, 2 * kCent}, 500), arm_of({9 * kCent}, 30)).claim,
              Claim::kSaves);
    EXPECT_EQ(compare_arms("r", arm_of({9 * kCent}, 100), arm_of({kCent}, 30)).claim,
              Claim::kCostsMore);
    const auto same =
        compare_arms("r", arm_of({kCent, 5 * kCent}, 100), arm_of({kCent, 5 * kCent}, 20));
    EXPECT_EQ(same.claim, Claim::kNoDifference);
    EXPECT_LT(same.low_usd, 0);
    EXPECT_GT(same.high_usd, 0);
    EXPECT_NEAR(same.high_usd, 1.96 * 0.02 * 0.1740, 0.0002);
}

TEST(LedgerBill, ReadsAnthropicsUsageWithItsCaches) {
    const auto bill = read_bill(
        R"({"data":[{"starting_at":"2025-08-01T00:00:00Z","ending_at":"2025-08-02T00:00:00Z",)"
        R"("results":[{"uncached_input_tokens":1500,"cache_creation":{"ephemeral_1h_input_tokens":1000,)"
        R"("ephemeral_5m_input_tokens":500},"cache_read_input_tokens":200,"output_tokens":500,)"
        R"("model":"claude-opus-4-1-20250805"}]}],"has_more":false,"next_page":null})");
    ASSERT_TRUE(bill) << bill.error().text();
    ASSERT_EQ(bill->lines.size(), 1U);
    const BillLine& line = bill->lines.begin()->second;
    EXPECT_EQ(line.input_tokens, 3200);
    EXPECT_EQ(line.cached_tokens, 200);
    EXPECT_EQ(line.output_tokens, 500);
    EXPECT_FALSE(line.cost);
}

TEST(LedgerBill, ReadsOpenAisCostsByLineItem) {
    const auto bill = read_bill(
        R"({"object":"page","data":[{"object":"bucket","start_time":1730419200,"end_time":1730505600,)"
        R"("results":[{"amount":{"value":0.06,"currency":"usd"},"line_item":"gpt-4o, input"},)"
        R"({"amount":{"value":6e-05,"currency":"usd"},"line_item":"gpt-4o, output"}]}]})");
    ASSERT_TRUE(bill) << bill.error().text();
    const auto& [key, line] = *bill->lines.begin();
    EXPECT_EQ(key.first, 20028);
    EXPECT_EQ(key.second, "gpt-4o");
    EXPECT_EQ(line.cost, PicoUsdSum(60'060'000'000));
    EXPECT_EQ(line.amounts, 2);
}

}  // namespace
}  // namespace leeway::ledger
