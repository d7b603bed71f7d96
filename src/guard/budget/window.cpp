#include "guard/budget/window.hpp"

namespace leeway::budget {
namespace {

constexpr std::int64_t kDay = 86'400;

std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept {
    return a / b - (a % b < 0 ? 1 : 0);
}

struct Months {
    std::int64_t first = 0;  ///< day number of the first of the month that `day` is in
    std::int64_t next = 0;   ///< of the month after it
};

/// Howard Hinnant's civil_from_days, for what months need.
Months months_around(std::int64_t day) noexcept {
    const std::int64_t shifted = day + 719'468;
    const std::int64_t era = floor_div(shifted, 146'097);
    const std::int64_t of_era = shifted - era * 146'097;
    const std::int64_t year = (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
    const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const std::int64_t month = (5 * of_year + 2) / 153;  // 0: March
    Months out;
    out.first = day - (of_year - (153 * month + 2) / 5);
    if (month == 11) {  // February is the last one and ends with the year, which begins in March
        const std::int64_t next_year = year + 1;
        out.next = era * 146'097 + next_year * 365 + next_year / 4 - next_year / 100 - 719'468 +
                   (next_year == 400 ? 1 : 0);
    } else {
        out.next = out.first + (153 * (month + 1) + 2) / 5 - (153 * month + 2) / 5;
    }
    return out;
}

}  // namespace

bool same_window(const WindowSpec& a, const WindowSpec& b) noexcept {
    const auto zone = [](const WindowSpec& spec) {
        return spec.zone ? std::string_view(spec.zone->name()) : std::string_view("UTC");
    };
    return a.per == b.per && a.rolling_s == b.rolling_s && zone(a) == zone(b);
}

std::string to_string(const WindowSpec& spec) {
    switch (spec.per) {
        case Per::kHour: return "hour";
        case Per::kDay: return "day";
        case Per::kWeek: return "week";
        case Per::kMonth: return "month";
        case Per::kRolling: return "rolling " + std::to_string(spec.rolling_s) + " s";
    }
    return "day";
}

Window window_at(const WindowSpec& spec, std::int64_t unix_s) noexcept {
    static const TimeZone kUtc;
    const TimeZone& zone = spec.zone ? *spec.zone : kUtc;
    if (spec.per == Per::kRolling) {
        const std::int64_t end = (slot_of(unix_s) + 1) * kSlotSeconds;
        return {end - spec.rolling_s - kSlotSeconds, end};
    }
    if (spec.per == Per::kHour) {
        // Not by the wall clock, which shows an hour twice when summer ends; zones that are half an
        // hour off begin theirs at half past.
        const std::int64_t shift = zone.offset_at(unix_s) % 3600;
        const std::int64_t begin = floor_div(unix_s + shift, 3600) * 3600 - shift;
        return {begin, begin + 3600};
    }
    const std::int64_t day = floor_div(unix_s + zone.offset_at(unix_s), kDay);
    std::int64_t first = day;
    std::int64_t next = day + 1;
    if (spec.per == Per::kWeek) {
        first = day - ((day + 3) % 7 + 7) % 7;
        next = first + 7;
    } else if (spec.per == Per::kMonth) {
        const Months months = months_around(day);
        first = months.first;
        next = months.next;
    }
    return {zone.to_unix(first * kDay), zone.to_unix(next * kDay)};
}

}  // namespace leeway::budget
