#include "guard/budget/window.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace leeway::budget {
namespace {

WindowSpec spec(Per per, const std::string& zone) {
    WindowSpec out;
    out.per = per;
    auto loaded = TimeZone::load(zone);
    EXPECT_TRUE(loaded) << loaded.error().text();
    if (loaded) out.zone = std::make_shared<const TimeZone>(std::move(*loaded));
    return out;
}

std::int64_t utc(const char* text) {
    std::tm parts{};
    EXPECT_NE(::strptime(text, "%Y-%m-%d %H:%M", &parts), nullptr);
    return ::timegm(&parts);
}

TEST(BudgetWindow, ADayIsTheCallersDayAlsoWhenItHas23Or25Hours) {
    const WindowSpec day = spec(Per::kDay, "Europe/Athens");
    EXPECT_EQ(window_at(day, utc("2026-01-15 12:00")),
              (Window{utc("2026-01-14 22:00"), utc("2026-01-15 22:00")}));
    EXPECT_EQ(window_at(day, utc("2026-03-29 12:00")),
              (Window{utc("2026-03-28 22:00"), utc("2026-03-29 21:00")}));
    EXPECT_EQ(window_at(day, utc("2026-10-25 12:00")),
              (Window{utc("2026-10-24 21:00"), utc("2026-10-25 22:00")}));
    // Behind the last transition of any zone file.
    EXPECT_EQ(window_at(day, utc("2075-07-01 12:00")),
              (Window{utc("2075-06-30 21:00"), utc("2075-07-01 21:00")}));
}

TEST(BudgetWindow, WeeksBeginOnMondayAndMonthsOnTheFirst) {
    const WindowSpec week = spec(Per::kWeek, "UTC");
    EXPECT_EQ(window_at(week, utc("2026-08-02 23:59")),
              (Window{utc("2026-07-27 00:00"), utc("2026-08-03 00:00")}));
    const WindowSpec month = spec(Per::kMonth, "America/New_York");
    EXPECT_EQ(window_at(month, utc("2026-03-01 04:59")),
              (Window{utc("2026-02-01 05:00"), utc("2026-03-01 05:00")}));
    EXPECT_EQ(window_at(month, utc("2026-03-31 12:00")),
              (Window{utc("2026-03-01 05:00"), utc("2026-04-01 04:00")}));
    EXPECT_EQ(window_at(spec(Per::kMonth, "UTC"), utc("2028-02-29 12:00")),
              (Window{utc("2028-02-01 00:00"), utc("2028-03-01 00:00")}));
    EXPECT_EQ(window_at(spec(Per::kMonth, "UTC"), utc("2000-02-10 12:00")),
              (Window{utc("2000-02-01 00:00"), utc("2000-03-01 00:00")}));
}

TEST(BudgetWindow, HoursFollowZonesThatAreHalfAnHourOff) {
    EXPECT_EQ(window_at(spec(Per::kHour, "Asia/Kolkata"), utc("2026-08-02 10:10")),
              (Window{utc("2026-08-02 09:30"), utc("2026-08-02 10:30")}));
}

TEST(BudgetWindow, EveryMomentLiesInItsWindowAndWindowsFollowEachOther) {
    for (const char* zone : {"UTC", "Europe/Athens", "America/Havana", "Asia/Beirut",
                             "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"}) {
        for (const Per per : {Per::kHour, Per::kDay, Per::kWeek, Per::kMonth}) {
            const WindowSpec one = spec(per, zone);
            Window before = window_at(one, utc("2024-01-01 00:00"));
            for (std::int64_t at = utc("2024-01-01 00:00"); at < utc("2028-01-01 00:00");
                 at += 17'777) {
                const Window window = window_at(one, at);
                EXPECT_EQ(window.begin % kSlotSeconds, 0);
                EXPECT_LT(window.begin, window.end);
                // A zone may show the last hour of a day twice; the book never goes back for it.
                EXPECT_GE(window.begin, before.begin - 86'400 * 31);
                EXPECT_LE(window.begin, at) << zone << " " << at;
                before = window;
            }
        }
    }
}

TEST(BudgetWindow, ARollingWindowHoldsAtLeastItsTime) {
    WindowSpec rolling;
    rolling.per = Per::kRolling;
    rolling.rolling_s = 86'400;
    const Window window = window_at(rolling, utc("2026-08-02 10:10"));
    EXPECT_EQ(window.begin, utc("2026-08-01 10:00"));
    EXPECT_EQ(window.end, utc("2026-08-02 10:15"));
}

TEST(BudgetZone, RefusesWhatIsNoZone) {
    for (const char* name : {"Europe/Atens", "../../etc/passwd", "/etc/localtime", "Europe"}) {
        EXPECT_FALSE(TimeZone::load(name)) << name;
    }
    EXPECT_FALSE(TimeZone::parse("x", "TZif2"));
}

}  // namespace
}  // namespace leeway::budget
