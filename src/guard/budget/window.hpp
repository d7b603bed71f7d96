#pragma once

#include "guard/budget/zone.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace leeway::budget {

enum class Per : std::uint8_t { kHour, kDay, kWeek, kMonth, kRolling };

/// Money and tokens are added up in slots of a quarter of an hour: the border of every calendar window in
/// every of today's time zones is one, so the same sums serve all windows.
inline constexpr std::int64_t kSlotSeconds = 900;
[[nodiscard]] constexpr std::int64_t slot_of(std::int64_t unix_s) noexcept {
    return unix_s / kSlotSeconds - (unix_s % kSlotSeconds < 0 ? 1 : 0);
}

/// How long a budget lasts until it starts anew. Weeks begin on Monday.
struct WindowSpec {
    Per per = Per::kDay;
    std::int64_t rolling_s = 0;  ///< of kRolling: a multiple of kSlotSeconds
    std::shared_ptr<const TimeZone> zone;  ///< null: UTC
};
[[nodiscard]] bool same_window(const WindowSpec& a, const WindowSpec& b) noexcept;
/// "day", "month", "rolling 86400 s".
[[nodiscard]] std::string to_string(const WindowSpec& spec);

/// One window in seconds since the epoch, [begin, end). `begin` is its id: it rises with time.
struct Window {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    friend bool operator==(const Window&, const Window&) = default;
};

/// The window that `unix_s` lies in: a pure function. For kRolling the slots that count at that moment,
/// the one under way included: never less than the asked time, at most one slot more.
[[nodiscard]] Window window_at(const WindowSpec& spec, std::int64_t unix_s) noexcept;

}  // namespace leeway::budget
