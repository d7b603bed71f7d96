#pragma once

#include "base/clock.hpp"
#include "base/money.hpp"

#include <cstdint>
#include <string>

namespace leeway::limits {

/// A token bucket in integers: a minute's worth may be taken at once, then it fills evenly. What is used is kept in
/// units of a 60,000,000,000th, of which `per_minute` flow back each nanosecond, so nothing is ever rounded. The
/// rate is the caller's and may change; what was used stays used. Not thread-safe.
class TokenBucket {
public:
    /// How long until `n` are free; zero: now. A number above `per_minute` is never free: Duration::max().
    [[nodiscard]] Duration wait(std::int64_t n, std::int64_t per_minute, TimePoint now) noexcept;
    /// Takes `n`, or gives them back when negative. May take more than is free: then the others wait longer.
    void take(std::int64_t n, std::int64_t per_minute, TimePoint now) noexcept;
    /// Whole ones that are free.
    [[nodiscard]] std::int64_t left(std::int64_t per_minute, TimePoint now) noexcept;
    /// How long until all of it is free.
    [[nodiscard]] Duration full_in(std::int64_t per_minute, TimePoint now) noexcept;
    /// The rate was lowered: what was used of the old one blocks for a minute of the new one at most.
    void shrink(std::int64_t per_minute) noexcept;

private:
    void flow(std::int64_t per_minute, TimePoint now) noexcept;

    Int128 used_ = 0;
    std::int64_t at_ns_ = INT64_MIN;
};

/// The value of a Retry-After header for a wait: whole seconds, rounded up, at least 1.
[[nodiscard]] std::int64_t retry_after_seconds(Duration wait) noexcept;
/// The value of an x-ratelimit-reset header, as OpenAI writes it: "0s", "120ms", "8.64s", "6m0s".
[[nodiscard]] std::string reset_text(Duration wait);

}  // namespace leeway::limits
