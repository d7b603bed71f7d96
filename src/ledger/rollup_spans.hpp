#pragma once

#include "base/result.hpp"
#include "ledger/schema.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// The roll-ups keep sums of single hours, and of spans of so many: a day, 8 days, 64 days. They begin at
/// multiples of their length since 1970-01-01, so each holds whole shorter ones.
inline constexpr std::array<std::int64_t, 3> kSpanHours{kDayHours, 8 * kDayHours, 64 * kDayHours};
/// Single hours are kept for so many days before the newest one.
inline constexpr std::int64_t kHoursKeptDays = 92;

/// First hour of the span of `hours` that `hour` lies in.
[[nodiscard]] constexpr std::int64_t span_start(std::int64_t hour, std::int64_t hours) noexcept {
    return floor_div(hour, hours) * hours;
}

/// Which hours stand in the sums of which length: the table `rollup_folded`.
struct RollupReach {
    std::int64_t before_hour =
        0;  ///< days have the hours before this one, longer spans the days before its
    std::int64_t hours_from =
        0;  ///< sums of single hours begin here, at a day's first; not after `before_hour`

    /// Sums of `hours` (of `kSpanHours`) have what lies before this.
    [[nodiscard]] constexpr std::int64_t before(std::int64_t hours) const noexcept {
        return hours == kDayHours ? before_hour : span_start(before_hour, kDayHours);
    }
};
/// nullopt for `hours_from`: the ledger is from before there were sums of hours, and has none yet.
struct StoredReach {
    std::int64_t before_hour = 0;
    std::optional<std::int64_t> hours_from;
    [[nodiscard]] RollupReach reach() const noexcept {
        return {before_hour, hours_from.value_or(before_hour)};
    }
};
inline constexpr const char* kReadReach = "SELECT before_hour, hours_from FROM rollup_folded";
/// By a statement of `kReadReach`, which is reset.
[[nodiscard]] Result<StoredReach> read_reach(store::sql::Statement& statement);
[[nodiscard]] Result<RollupReach> read_reach(store::sql::Database& db);

/// Hours [first_hour, end_hour) as sums of `hours` each hold them.
struct HourSpan {
    std::int64_t hours;
    std::int64_t first_hour;
    std::int64_t end_hour;
    friend bool operator==(const HourSpan&, const HourSpan&) = default;
};
/// [first_hour, end_hour) with as few sums as can be, none longer than `longest`. Before `reach.hours_from` both
/// ends must be those of days.
[[nodiscard]] std::vector<HourSpan> cover_hours(std::int64_t first_hour, std::int64_t end_hour,
                                                const RollupReach& reach,
                                                std::int64_t longest = kSpanHours.back());

/// [from_us, to_us), which begins or ends amid the hours [first_hour, end_hour) that only a sum of all of them
/// knows: one hour, or a day where no hours are kept.
struct CutSpan {
    std::int64_t from_us;
    std::int64_t to_us;
    std::int64_t first_hour;
    std::int64_t end_hour;
};
/// A range of time as whole hours, [first_hour, end_hour), and what is left at its ends.
struct RollupWindow {
    std::int64_t first_hour = 0;
    std::int64_t end_hour = 0;
    std::vector<CutSpan> cuts;
};
[[nodiscard]] RollupWindow window_of(std::int64_t since_us, std::int64_t until_us,
                                     const RollupReach& reach);

/// Requests of whole hours, as the roll-ups count them; `condition` is " AND …" over their groups.
[[nodiscard]] Result<std::int64_t> requests_of(store::sql::Database& db, std::int64_t first_hour,
                                               std::int64_t end_hour, const RollupReach& reach,
                                               std::string_view condition = {});
/// Whether the table of requests still has all of these hours.
[[nodiscard]] Result<bool> has_rows_of(store::sql::Database& db, const CutSpan& cut,
                                       const RollupReach& reach);
/// What a reader must know when `cut` is counted as a whole.
[[nodiscard]] std::string whole_note(const CutSpan& cut);

}  // namespace leeway::ledger
