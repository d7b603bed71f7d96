#include "base/clock.hpp"

// The only two places that read a clock for the program; the simulator (tests/sim) links others.

namespace leeway {

TimePoint monotonic_now() noexcept { return std::chrono::steady_clock::now(); }

std::int64_t unix_now_us() noexcept {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace leeway
