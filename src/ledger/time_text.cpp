#include "ledger/time_text.hpp"

#include "base/strings.hpp"
#include "ledger/schema.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>

namespace leeway::ledger {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kMinuteUs = 60 * kSecondUs;

/// Takes parts off the front of a text; after a part that does not fit, `ok` is false.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}
    std::int64_t digits(std::size_t count) {
        const auto value = rest_.size() < count ? std::nullopt : parse_u64(rest_.substr(0, count));
        if (!value) {
            ok_ = false;
            return 0;
        }
        rest_.remove_prefix(count);
        return static_cast<std::int64_t>(*value);
    }
    bool take(char c) {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void need(char c) {
        if (!take(c)) ok_ = false;
    }
    /// The digits after a decimal point, as microseconds.
    std::int64_t fraction() {
        std::int64_t value = 0;
        std::int64_t weight = kSecondUs / 10;
        std::size_t count = 0;
        while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
            value += (rest_.front() - '0') * weight;
            weight /= 10;
            rest_.remove_prefix(1);
            ++count;
        }
        if (count == 0) ok_ = false;
        return value;
    }
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
    bool ok_ = true;
};

std::optional<std::int64_t> parse_ago(std::string_view text, std::int64_t now_us) {
    if (text.size() < 2) return std::nullopt;
    const auto count = parse_u64(text.substr(0, text.size() - 1));
    if (!count || *count > 1'000'000) return std::nullopt;
    std::int64_t unit = 0;
    switch (text.back()) {
        case 's': unit = kSecondUs; break;
        case 'm': unit = kMinuteUs; break;
        case 'h': unit = kHourUs; break;
        case 'd': unit = kDayUs; break;
        case 'w': unit = 7 * kDayUs; break;
        default: return std::nullopt;
    }
    return now_us - static_cast<std::int64_t>(*count) * unit;
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    Scanner in(text);
    const auto year = in.digits(4);
    in.need('-');
    const auto month = in.digits(2);
    in.need('-');
    const auto day = in.digits(2);
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!in.ok() || !date.ok()) return std::nullopt;
    const std::int64_t start =
        std::int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * kDayUs;
    if (in.at_end()) return start;
    if (!in.take('T') && !in.take('t')) in.need(' ');
    const auto hour = in.digits(2);
    in.need(':');
    const auto minute = in.digits(2);
    const auto second = in.take(':') ? in.digits(2) : 0;
    const auto fraction = in.take('.') ? in.fraction() : 0;
    std::int64_t offset = 0;
    if (!in.take('Z') && !in.take('z') && !in.at_end()) {
        const bool minus = in.take('-');
        if (!minus) in.need('+');
        offset = in.digits(2) * kHourUs;
        in.need(':');
        offset += in.digits(2) * kMinuteUs;
        if (minus) offset = -offset;
    }
    if (!in.ok() || !in.at_end() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    return start + hour * kHourUs + minute * kMinuteUs + second * kSecondUs + fraction - offset;
}

}  // namespace

Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_us) {
    if (const auto ago = parse_ago(text, now_us)) return *ago;
    if (const auto date = parse_date(text)) return *date;
    return fail(
        ErrorCode::kInvalidRequest, fmt::format("'{}' is no time", text),
        "write a date (2026-11-24), a UTC time (2026-11-24T09:30) or how long ago (24h, 7d)");
}

std::string iso_day(std::int64_t day) {
    const std::chrono::year_month_day date{
        std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::string iso_time(std::int64_t ts_us) {
    const std::int64_t day = day_of(ts_us);
    const std::int64_t rest = ts_us - day * kDayUs;
    return fmt::format("{}T{:02}:{:02}:{:02}.{:06}Z", iso_day(day), rest / kHourUs,
                       rest / kMinuteUs % 60, rest / kSecondUs % 60, rest % kSecondUs);
}

}  // namespace leeway::ledger
