#pragma once

#include <chrono>
#include <cstdint>

namespace leeway {

/// Monotonic time, for durations and deadlines.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

[[nodiscard]] inline TimePoint monotonic_now() noexcept { return std::chrono::steady_clock::now(); }

/// Wall-clock time in microseconds since the Unix epoch, for rows and logs, never for durations.
[[nodiscard]] inline std::int64_t unix_now_us() noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

[[nodiscard]] inline std::int64_t to_us(Duration d) noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

}  // namespace leeway
