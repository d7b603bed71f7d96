#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::budget {

/// How far the clocks of one time zone are from UTC at any moment: the transitions of its TZif file
/// (RFC 8536) and the rule behind them. Immutable; any thread.
class TimeZone {
public:
    /// UTC.
    TimeZone() = default;
    /// Reads "Europe/Athens" from the system's zone files ($TZDIR, else /usr/share/zoneinfo); "UTC" needs
    /// none. For loading configurations, not for requests. The error names the zone.
    [[nodiscard]] static Result<TimeZone> load(const std::string& name);
    /// Reads the bytes of a TZif file.
    [[nodiscard]] static Result<TimeZone> parse(std::string name, std::string_view bytes);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Seconds to add to UTC at the moment `unix_s`.
    [[nodiscard]] std::int64_t offset_at(std::int64_t unix_s) const noexcept;
    /// The first moment at which clocks show `local_s` (seconds since 1970-01-01 00:00 of the wall
    /// clock) or, when they skip it, the moment of the jump.
    [[nodiscard]] std::int64_t to_unix(std::int64_t local_s) const noexcept;

private:
    struct Transition {
        std::int64_t at = 0;
        std::int64_t offset = 0;
    };
    /// "Mmonth.week.day/time" of a POSIX TZ rule; the only form that today's files use.
    struct Change {
        int month = 0;
        int week = 0;
        int day = 0;
        std::int64_t second = 7200;
        [[nodiscard]] std::int64_t in_year(std::int64_t year) const noexcept;
    };
    [[nodiscard]] bool parse_rule(std::string_view text);
    [[nodiscard]] std::int64_t offset_by_rule(std::int64_t unix_s) const noexcept;

    std::string name_ = "UTC";
    std::int64_t first_offset_ = 0;
    std::vector<Transition> transitions_;
    // Behind the last transition.
    bool has_rule_ = false;
    bool has_summer_ = false;
    std::int64_t winter_ = 0;
    std::int64_t summer_ = 0;
    Change to_summer_, to_winter_;
};

}  // namespace leeway::budget
