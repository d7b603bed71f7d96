#pragma once

#include <ctime>
#include <span>
#include <string>

namespace leeway::bench {

/// TEXTS COUNT PRECISION: fills an index of COUNT vectors and looks questions up in it. TEXTS: a text a line, of which
/// the last thousand are only asked. PRECISION: int8 or float32.
int lookups(std::span<const std::string> arguments);

/// CPU time of this thread, in seconds.
inline double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace leeway::bench
