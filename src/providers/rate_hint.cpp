#include "providers/rate_hint.hpp"

#include "base/strings.hpp"
#include "providers/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace leeway::providers {
namespace {

// A wrong date of a provider must not end its use for long.
constexpr Duration kLongest = std::chrono::minutes(10);
// The reset is when all of a limit is back; such a part of it is enough to go on.
constexpr int kPart = 10;

struct Pair {
    std::string_view remaining;
    std::string_view reset;
};
constexpr std::array<Pair, 6> kPairs{
    {{"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
     {"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
     {"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
     {"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"},
     {"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"},
     {"anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"}}};

/// "250ms", "1m30.5s", "6h0m0s", "12" (seconds).
std::optional<Duration> read_span(std::string_view text) {
    constexpr std::int64_t kMostDigits = 9;
    double seconds = 0;
    while (!text.empty()) {
        const std::size_t digits = text.find_first_not_of("0123456789.");
        const std::string_view number = text.substr(0, digits);
        if (number.empty() || static_cast<std::int64_t>(number.size()) > kMostDigits)
            return std::nullopt;
        double value = 0;
        const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
        if (read.ec != std::errc() || read.ptr != number.data() + number.size())
            return std::nullopt;
        text.remove_prefix(number.size());
        const std::string_view unit = text.substr(0, text.find_first_of("0123456789"));
        text.remove_prefix(unit.size());
        if (unit == "ms") {
            seconds += value / 1e3;
        } else if (unit == "s" || unit.empty()) {
            seconds += value;
        } else if (unit == "m") {
            seconds += value * 60;
        } else if (unit == "h") {
            seconds += value * 3600;
        } else if (unit == "d") {
            seconds += value * 86'400;
        } else {
            return std::nullopt;
        }
    }
    return std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::min(seconds, 86'400.0)));
}

/// "2026-11-29T08:00:30Z", and with a fraction, which does not matter.
std::optional<Duration> read_instant(std::string_view text, std::int64_t unix_us) {
    constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
    if (text.size() < kShape.size() + 1 || text.back() != 'Z') return std::nullopt;
    std::array<int, 6> parts{};
    std::size_t part = 0;
    for (std::size_t i = 0; i < kShape.size(); ++i) {
        if (kShape[i] != 'd') {
            if (text[i] != kShape[i]) return std::nullopt;
            ++part;
        } else {
            if (text[i] < '0' || text[i] > '9') return std::nullopt;
            parts[part] = parts[part] * 10 + (text[i] - '0');
        }
    }
    const std::chrono::year_month_day date{std::chrono::year(parts[0]),
                                           std::chrono::month(static_cast<unsigned>(parts[1])),
                                           std::chrono::day(static_cast<unsigned>(parts[2]))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t seconds =
        std::int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * 86'400 +
        parts[3] * 3600 + parts[4] * 60 + parts[5];
    const std::int64_t left_us = std::max<std::int64_t>(seconds * 1'000'000 - unix_us, 0);
    return std::chrono::microseconds(left_us);
}

bool is_none_left(std::string_view text) {
    const std::string_view value = trim(text);
    return !value.empty() && value.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::optional<Duration> rate_rest(const net::ResponseHead& head, std::int64_t unix_us) {
    std::optional<Duration> out;
    for (const net::Field& field : head.fields) {
        const std::string_view name = field.name;
        constexpr std::size_t kShortest = 28;
        if (name.size() < kShortest) continue;
        for (const Pair& pair : kPairs) {
            if (!equals_ignore_case(name, pair.remaining) || !is_none_left(field.value)) continue;
            const auto reset = head.fields.find(pair.reset);
            if (!reset) continue;
            auto rest = pair.reset.front() == 'x' ? read_span(trim(*reset))
                                                  : read_instant(trim(*reset), unix_us);
            if (rest) out = std::max(out.value_or(Duration::zero()), *rest);
        }
    }
    if (out) out = *out / kPart;
    if (head.status == 429) {
        if (const auto told = told_wait(head.fields, unix_us / 1'000'000)) out = told;
    }
    if (out && *out == Duration::zero()) return std::nullopt;
    if (out) out = std::min(*out, kLongest);
    return out;
}

}  // namespace leeway::providers
