#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// Reads a point in time as people type it, in microseconds since the epoch: "2026-11-24",
/// "2026-11-24T09:30", "2026-11-24 09:30:15.25Z", "2026-11-24T09:30+02:00" (UTC unless an offset is
/// given), or a duration before `now_us`: "90s", "30m", "24h", "7d", "2w".
[[nodiscard]] Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_us);

/// "2026-11-24T09:30:15.250000Z".
[[nodiscard]] std::string iso_time(std::int64_t ts_us);
/// "2026-11-24" of a day counted from 1970-01-01.
[[nodiscard]] std::string iso_day(std::int64_t day);

}  // namespace leeway::ledger
