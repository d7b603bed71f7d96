#include "providers/retry.hpp"

#include "base/strings.hpp"

#include <algorithm>
#include <ctime>
#include <string>

namespace leeway::providers {
namespace {

constexpr std::uint64_t kLongestSeconds = 365ULL * 86'400;

/// "120", or "1.5" as some send it, rounded up to milliseconds.
std::optional<Duration> read_seconds(std::string_view text) {
    const std::size_t dot = text.find('.');
    const auto whole = parse_u64(text.substr(0, dot));
    if (!whole) return std::nullopt;
    Duration out = std::chrono::seconds(std::min(*whole, kLongestSeconds));
    if (dot == std::string_view::npos) return out;
    const std::string_view digits = text.substr(dot + 1, 3);
    const auto part = parse_u64(digits);
    if (!part) return std::nullopt;
    std::uint64_t ms = *part;
    for (std::size_t i = digits.size(); i < 3; ++i) ms *= 10;
    return out + std::chrono::milliseconds(ms + 1);
}

/// "Wed, 21 Oct 2026 07:28:00 GMT" (RFC 9110 section 5.6.7).
std::optional<Duration> read_date(std::string_view text, std::int64_t unix_s) {
    const std::string date(text);
    std::tm parts{};
    const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == nullptr || *end != '\0') return std::nullopt;
    const std::int64_t left = std::int64_t{::timegm(&parts)} - unix_s;
    return std::chrono::seconds(
        std::clamp<std::int64_t>(left, 0, static_cast<std::int64_t>(kLongestSeconds)));
}

}  // namespace

Hope hope_of(const net::ResponseHead& head) noexcept {
    Hope hope = Hope::kNone;
    switch (head.status) {
        case 401:  // our key, not the caller's
        case 402:
        case 403: hope = Hope::kElsewhere; break;
        case 408:
        case 409:
        case 429: hope = Hope::kAgain; break;
        default: hope = head.status >= 500 ? Hope::kAgain : Hope::kNone;
    }
    const auto should = head.fields.find("x-should-retry");
    if (hope == Hope::kAgain && should && equals_ignore_case(*should, "false"))
        hope = Hope::kElsewhere;
    return hope;
}

std::optional<Duration> told_wait(const net::Fields& fields, std::int64_t unix_s) {
    if (const auto text = fields.find("retry-after-ms")) {
        const auto ms = parse_u64(text->substr(0, text->find('.')));
        if (ms) return std::chrono::milliseconds(std::min(*ms, kLongestSeconds * 1000));
    }
    const auto text = fields.find("retry-after");
    if (!text) return std::nullopt;
    const auto seconds = read_seconds(*text);
    return seconds ? seconds : read_date(*text, unix_s);
}

Duration backoff(const RetryPolicy& policy, std::uint32_t retry, std::uint64_t random) noexcept {
    constexpr std::uint32_t kMostDoublings = 20;
    const Duration most = std::min<Duration>(
        policy.cap, Duration(policy.base) * (std::int64_t{1} << std::min(retry, kMostDoublings)));
    const Duration half = most / 2;
    constexpr std::int64_t kParts = 1024;
    return half + half / kParts * static_cast<std::int64_t>(random % kParts);
}

}  // namespace leeway::providers
