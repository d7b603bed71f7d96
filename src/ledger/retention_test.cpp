#include "ledger/retention.hpp"

#include "ledger/ledger.hpp"
#include "ledger/reader.hpp"
#include "ledger/report.hpp"
#include "ledger/schema.hpp"
#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace leeway::ledger {
namespace {

using store::sqlite::Access;
using store::sqlite::Database;
using testing::ordinary_record;
using testing::TemporaryFolder;

constexpr std::int64_t kToday = 1'700'006'400'000'000;  // 2023-11-15, midnight
constexpr std::int64_t kNoon = kDayUs / 2;

std::int64_t count_rows(const std::string& state_dir, const std::string& sql) {
    auto db = Database::open(database_path(state_dir), {.access = Access::kReadOnly});
    if (!db) return -1;
    const auto value = db->query_int(sql);
    return value ? value->value_or(-1) : -1;
}

/// A ledger whose day the test decides.
class RetentionTest : public ::testing::Test {
protected:
    void open(std::uint32_t days) {
        ledger_.reset();
        auto opened =
            Ledger::open({.state_dir = folder_.path(), .retention_days = days, .now_us = [this] {
                              return now_us_.load();
                          }});
        ASSERT_TRUE(opened) << opened.error().text();
        ledger_ = std::move(*opened);
    }
    /// `requests` of the noon of the day that lies `days_ago` before 2023-11-15.
    void append(int requests, std::int64_t days_ago) {
        for (int i = 0; i < requests; ++i) {
            ASSERT_TRUE(
                ledger_->sink(0).append(ordinary_record(kToday - days_ago * kDayUs + kNoon + i)));
        }
        ASSERT_TRUE(ledger_->flush());
    }
    bool eventually_expired(std::uint64_t requests) {
        const TimePoint until = monotonic_now() + std::chrono::seconds(10);
        while (ledger_->stats().expired != requests) {
            if (monotonic_now() > until) return false;
            std::this_thread::yield();
        }
        return true;
    }
    std::int64_t requests() { return count_rows(folder_.path(), "SELECT count(*) FROM request"); }
    std::int64_t attempts() { return count_rows(folder_.path(), "SELECT count(*) FROM attempt"); }
    std::int64_t counted() {
        return count_rows(
            folder_.path(),
            "SELECT sum(requests) FROM rollup_group WHERE hours = 24 OR (hours = 1 AND"
            " start >= (SELECT before_hour FROM rollup_folded))");
    }

    const TemporaryFolder folder_;
    std::atomic<std::int64_t> now_us_{kToday + kNoon};
    std::unique_ptr<Ledger> ledger_;
};

TEST_F(RetentionTest, KeepsEverythingUnlessToldOtherwise) {
    open(0);
    append(3, 4000);
    append(3, 0);
    EXPECT_EQ(requests(), 6);
    EXPECT_EQ(ledger_->stats().expired, 0U);
}

TEST_F(RetentionTest, TakesRowsOfOlderDaysAwayAndKeepsTheRollUps) {
    open(0);
    append(2500, 31);  // more than one batch
    append(20, 30);
    append(7, 0);
    open(30);
    ASSERT_TRUE(eventually_expired(2500));
    EXPECT_EQ(requests(), 27);
    EXPECT_EQ(attempts(), 27);
    EXPECT_EQ(counted(), 2527);
    EXPECT_EQ(ledger_->stats().rows_written, 0U);
    EXPECT_EQ(ledger_->stats().last_error, "");
}

TEST_F(RetentionTest, LooksAgainWhenTheDayChanges) {
    open(30);
    append(5, 30);
    append(5, 29);
    EXPECT_EQ(requests(), 10);
    now_us_ = kToday + kDayUs;
    append(1, -1);
    ASSERT_TRUE(eventually_expired(5));
    EXPECT_EQ(requests(), 6);
    ledger_->set_retention_days(0);
    now_us_ = kToday + 100 * kDayUs;
    append(1, -100);
    EXPECT_EQ(requests(), 7);
    ledger_->set_retention_days(50);
    append(1, -100);
    ASSERT_TRUE(eventually_expired(11));
    EXPECT_EQ(requests(), 2);
    EXPECT_EQ(counted(), 13);
}

TEST_F(RetentionTest, ReportsOverOldDaysStayExactAndSayWhatTheyCount) {
    open(0);
    append(10, 40);
    append(10, 5);
    auto db = open_for_reading(folder_.path());
    ASSERT_TRUE(db && *db);
    const auto report_since = [&](std::int64_t us) {
        auto report = build_report(**db, {.by = {ReportBy::kDay}, .since_us = us});
        EXPECT_TRUE(report);
        return std::move(*report);
    };
    // Five of that day's ten requests lie before the fifth microsecond after noon.
    const std::int64_t middle = kToday - 40 * kDayUs + kNoon + 5;
    const Report all = report_since(kToday - 100 * kDayUs);
    EXPECT_EQ(report_since(middle).totals.requests, 15);
    open(30);
    ASSERT_TRUE(eventually_expired(10));
    const Report later = report_since(kToday - 100 * kDayUs);
    EXPECT_EQ(later.totals, all.totals);
    EXPECT_TRUE(later.notes.empty());
    const Report cut = report_since(middle);
    EXPECT_EQ(cut.totals.requests, 20);
    ASSERT_EQ(cut.notes.size(), 1U);
    EXPECT_NE(cut.notes[0].find("2023-10-06T12:00Z counts as a whole"), std::string::npos)
        << cut.notes[0];
    EXPECT_EQ(report_since(kToday - 5 * kDayUs + kNoon + 5).totals.requests, 5);
}

}  // namespace
}  // namespace leeway::ledger
