#include "guard/limits/token_bucket.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

namespace leeway::limits {
namespace {

constexpr std::int64_t kMinuteNs = 60'000'000'000;
// No debt is kept that takes longer than a day to pay off.
constexpr std::int64_t kMostMinutes = 24 * 60;

Duration nanoseconds(Int128 value) noexcept {
    constexpr auto kMost = Int128{std::numeric_limits<std::int64_t>::max()};
    const auto count = static_cast<std::int64_t>(std::clamp<Int128>(value, 0, kMost));
    return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(count));
}

}  // namespace

void TokenBucket::flow(std::int64_t per_minute, TimePoint now) noexcept {
    const std::int64_t now_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
    // Threads may be a little late with their clocks.
    if (now_ns <= at_ns_) return;
    if (at_ns_ != INT64_MIN) {
        used_ = std::max<Int128>(used_ - Int128{now_ns - at_ns_} * per_minute, 0);
    }
    at_ns_ = now_ns;
}

Duration TokenBucket::wait(std::int64_t n, std::int64_t per_minute, TimePoint now) noexcept {
    if (n > per_minute) return Duration::max();
    flow(per_minute, now);
    const Int128 over = used_ + (Int128{n} - per_minute) * kMinuteNs;
    if (over <= 0) return Duration::zero();
    return nanoseconds((over + per_minute - 1) / per_minute);
}

void TokenBucket::take(std::int64_t n, std::int64_t per_minute, TimePoint now) noexcept {
    flow(per_minute, now);
    const Int128 most = Int128{per_minute} * kMinuteNs * kMostMinutes;
    used_ = std::clamp<Int128>(used_ + Int128{n} * kMinuteNs, 0, most);
}

std::int64_t TokenBucket::left(std::int64_t per_minute, TimePoint now) noexcept {
    flow(per_minute, now);
    const Int128 free = Int128{per_minute} * kMinuteNs - used_;
    return free <= 0 ? 0 : static_cast<std::int64_t>(free / kMinuteNs);
}

Duration TokenBucket::full_in(std::int64_t per_minute, TimePoint now) noexcept {
    flow(per_minute, now);
    if (used_ == 0) return Duration::zero();
    return nanoseconds((used_ + per_minute - 1) / std::max<std::int64_t>(per_minute, 1));
}

void TokenBucket::shrink(std::int64_t per_minute) noexcept {
    used_ = std::min(used_, Int128{per_minute} * kMinuteNs);
}

std::int64_t retry_after_seconds(Duration wait) noexcept {
    return std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(wait).count(), 1);
}

std::string reset_text(Duration wait) {
    const std::int64_t ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (ms <= 0) return "0s";
    if (ms < 1000) return fmt::format("{}ms", ms);
    const std::int64_t minutes = ms / 60'000;
    std::string out = minutes > 0 ? fmt::format("{}m", minutes) : std::string();
    const std::int64_t rest = ms % 60'000;
    std::string seconds = fmt::format("{}.{:03}", rest / 1000, rest % 1000);
    while (seconds.back() == '0') seconds.pop_back();
    if (seconds.back() == '.') seconds.pop_back();
    return out + seconds + "s";
}

}  // namespace leeway::limits
