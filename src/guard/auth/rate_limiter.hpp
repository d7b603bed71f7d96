#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace leeway::guard::auth {

/// How much of its requests per minute one key has used: GCRA, the "generic cell rate algorithm" of
/// ATM networks (ITU-T I.371), which is an exact leaky bucket in a single number. A key may send its
/// whole minute's worth at once; then the requests come back evenly. Thread-safe, lock-free.
class RateBucket {
public:
    /// Takes one request and returns zero, or takes none and returns how long until one is free.
    /// `per_minute` 0 means no limit. `now` is the caller's clock, which tests can turn.
    [[nodiscard]] Duration try_take(std::uint32_t per_minute, TimePoint now) noexcept;

private:
    // When the bucket would be empty again, in nanoseconds of the monotonic clock.
    std::atomic<std::int64_t> empty_at_ns_{INT64_MIN};
};

/// The value of a Retry-After header for a wait: whole seconds, rounded up, at least 1.
[[nodiscard]] std::int64_t retry_after_seconds(Duration wait) noexcept;

/// The buckets of all keys by name. It lives as long as the process, so what a key has used is not
/// forgotten when the configuration is read again. Thread-safe.
class RateLimiter {
public:
    /// The bucket of `name`, made when new; the reference stays valid as long as the limiter.
    /// Takes a lock: for building key directories, not for requests.
    [[nodiscard]] RateBucket& bucket(std::string_view name);

private:
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<RateBucket>, std::less<>> buckets_;
};

}  // namespace leeway::guard::auth
