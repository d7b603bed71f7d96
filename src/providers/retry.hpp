#pragma once

#include "base/clock.hpp"
#include "net/http_message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace leeway::providers {

/// How often a model is asked again, and how long is waited before. Immutable.
struct RetryPolicy {
    std::uint32_t attempts = 2;  ///< besides the first; 0: none
    std::chrono::milliseconds base{200};  ///< the first wait, about; each next is twice as long
    std::chrono::milliseconds cap{
        5'000};  ///< the longest wait, also where the upstream asks for it
};

/// What an answer, or that none came, says about trying on.
enum class Hope : std::uint8_t {
    kNone,       ///< it is an answer, or the caller's own fault: trying on changes nothing
    kAgain,      ///< it may pass: the same target, then others
    kElsewhere,  ///< it will not pass here: others only
};
/// By the status; `x-should-retry: false` of an upstream that knows better leaves no more than others.
[[nodiscard]] Hope hope_of(const net::ResponseHead& head) noexcept;

/// How long the upstream wants to be left alone: `retry-after-ms`, else `retry-after` (seconds, or a date that is
/// compared with `unix_s`). nullopt: it does not say so, or nothing that can be read.
[[nodiscard]] std::optional<Duration> told_wait(const net::Fields& fields, std::int64_t unix_s);

/// The wait before retry number `retry` (from 0): half of min(cap, base · 2^retry), and of the other half what
/// `random` draws ("equal jitter": Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
[[nodiscard]] Duration backoff(const RetryPolicy& policy, std::uint32_t retry,
                               std::uint64_t random) noexcept;

/// Keeps retries from multiplying an outage: at most one for five requests, and ten at the start or after a quiet
/// time. One for each worker and provider. Not thread-safe.
class RetryBudget {
public:
    void request() noexcept {
        if (fifths_ < kMost) ++fifths_;
    }
    /// False: none is left.
    [[nodiscard]] bool take() noexcept {
        if (fifths_ < kRetry) return false;
        fifths_ -= kRetry;
        return true;
    }

private:
    static constexpr std::uint32_t kRetry = 5;
    static constexpr std::uint32_t kMost = 10 * kRetry;
    std::uint32_t fifths_ = kMost;
};

}  // namespace leeway::providers
