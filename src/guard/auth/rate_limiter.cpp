#include "guard/auth/rate_limiter.hpp"

#include <algorithm>
#include <chrono>

namespace leeway::guard::auth {

Duration RateBucket::try_take(std::uint32_t per_minute, TimePoint now) noexcept {
    if (per_minute == 0) return Duration::zero();
    constexpr std::int64_t kMinuteNs = 60'000'000'000;
    const std::int64_t interval = std::max<std::int64_t>(kMinuteNs / per_minute, 1);
    const std::int64_t burst = interval * (static_cast<std::int64_t>(per_minute) - 1);
    const std::int64_t now_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
    std::int64_t empty_at = empty_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t start = std::max(empty_at, now_ns);
        const std::int64_t wait = start - burst - now_ns;
        if (wait > 0) {
            return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(wait));
        }
        // The number guards nothing else, so no ordering is needed.
        if (empty_at_ns_.compare_exchange_weak(empty_at, start + interval,
                                               std::memory_order_relaxed)) {
            return Duration::zero();
        }
    }
}

std::int64_t retry_after_seconds(Duration wait) noexcept {
    return std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(wait).count(), 1);
}

RateBucket& RateLimiter::bucket(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    auto at = buckets_.find(name);
    if (at == buckets_.end()) {
        at = buckets_.emplace(std::string(name), std::make_unique<RateBucket>()).first;
    }
    return *at->second;
}

}  // namespace leeway::guard::auth
