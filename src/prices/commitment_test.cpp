#include "prices/commitment.hpp"

#include "prices/book.hpp"

#include <gtest/gtest.h>

namespace leeway::prices {
namespace {

using State = CommitmentWindow::State;

std::int64_t day(std::string_view date) { return *parse_day(date) / kDaySeconds; }

std::string window(const Commitment& commitment, std::string_view at) {
    const CommitmentWindow w = window_of(commitment, day(at));
    return date_text(w.first_day * kDaySeconds) + ".." + date_text(w.end_day * kDaySeconds) + " " +
           std::string(kCommitmentStateNames[static_cast<std::size_t>(w.state)]);
}

TEST(Commitment, MonthsAreThoseOfTheCalendarCutByItsDays) {
    Commitment c;
    EXPECT_EQ(window(c, "2026-11-29"), "2026-11-01..2026-12-01 running");
    EXPECT_EQ(window(c, "2026-12-31"), "2026-12-01..2027-01-01 running");
    c.from_day = day("2026-07-15");
    c.to_day = day("2026-11-10");
    EXPECT_EQ(window(c, "2026-07-20"), "2026-07-15..2026-08-01 running");
    EXPECT_EQ(window(c, "2026-07-14"), "2026-07-15..2026-08-01 upcoming");
    EXPECT_EQ(window(c, "2026-11-09"), "2026-11-01..2026-11-10 running");
    EXPECT_EQ(window(c, "2026-11-10"), "2026-11-01..2026-11-10 ended");
}

TEST(Commitment, YearsCountFromItsFirstDay) {
    Commitment c;
    c.per = CommitmentPer::kYear;
    EXPECT_EQ(window(c, "2026-11-29"), "2026-01-01..2027-01-01 running");
    c.from_day = day("2024-02-29");
    EXPECT_EQ(window(c, "2025-02-27"), "2024-02-29..2025-02-28 running");
    EXPECT_EQ(window(c, "2025-02-28"), "2025-02-28..2026-02-28 running");
    EXPECT_EQ(window(c, "2028-02-29"), "2028-02-29..2029-02-28 running");
    c.to_day = day("2025-08-01");
    EXPECT_EQ(window(c, "2030-01-01"), "2025-02-28..2025-08-01 ended");
}

TEST(Commitment, ATermIsOneWindow) {
    Commitment c;
    c.per = CommitmentPer::kTerm;
    c.from_day = day("2026-03-01");
    c.to_day = day("2026-05-15");
    EXPECT_EQ(window(c, "2026-04-30"), "2026-03-01..2026-05-15 running");
    EXPECT_EQ(window(c, "2026-01-01"), "2026-03-01..2026-05-15 upcoming");
    EXPECT_EQ(window(c, "2026-06-01"), "2026-03-01..2026-05-15 ended");
}

}  // namespace
}  // namespace leeway::prices
