#pragma once

#include <chrono>
#include <cstdint>

namespace leeway {

/// Monotonic time, for durations and deadlines.
using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

[[nodiscard]] TimePoint monotonic_now() noexcept;

/// Wall-clock time in microseconds since the Unix epoch, for rows and logs, never for durations.
[[nodiscard]] std::int64_t unix_now_us() noexcept;
/// The same in whole seconds.
[[nodiscard]] inline std::int64_t unix_now_s() noexcept { return unix_now_us() / 1'000'000; }

[[nodiscard]] inline std::int64_t to_us(Duration d) noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

}  // namespace leeway
