#pragma once

#include "methods/router/semantic/arguments/text_words.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

using Day = std::chrono::sys_days;

/// The day of a wall-clock time in microseconds since the Unix epoch, in UTC.
[[nodiscard]] Day day_of(std::int64_t unix_us) noexcept;
/// "YYYY-MM-DD" as a day that there is.
[[nodiscard]] std::optional<Day> parse_iso_date(std::string_view text) noexcept;
[[nodiscard]] std::string iso_date(Day day);
/// "Monday" and so on.
[[nodiscard]] std::string_view weekday_name(Day day) noexcept;

struct FoundDate {
    Day day;
    Span span;
    bool unsure = false;  ///< it can be read in more than one way, or is the end of a range of days
    bool year_guessed = false;  ///< the text does not tell it
    bool by_weekday = false;  ///< told by a day of the week alone
};

/// Whether a folded word is the name of a month or a day of the week.
[[nodiscard]] bool is_calendar_word(std::string_view folded) noexcept;

/// The days that an English text names, in its order: 2026-05-12, 12.5.2026, 12/5/2026 (unsure unless one of the two can
/// be no month), "12 May", "May 12th, 2026", today, tonight, tomorrow, "the day after tomorrow", weekdays, "in three
/// days", "in 2 weeks". Without a year it is the next such day from `today` on; "Friday" and "this Friday" are the first
/// one after today, "next Friday" that of the next week, which begins on Monday. What the calendar does not have is no
/// date.
[[nodiscard]] std::vector<FoundDate> find_dates(std::string_view text,
                                                const std::vector<TextWord>& words, Day today);

}  // namespace leeway::router
