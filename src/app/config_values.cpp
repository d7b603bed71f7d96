#include "app/config_values.hpp"

#include "base/strings.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <limits>
#include <utility>

namespace leeway::app {
namespace {

struct NumberAndUnit {
    std::uint64_t number = 0;
    std::string_view unit;
};

std::optional<NumberAndUnit> split_unit(std::string_view text) {
    const std::size_t digits = text.find_first_not_of("0123456789");
    const auto number = parse_u64(text.substr(0, digits));
    if (!number) return std::nullopt;
    const std::string_view unit =
        digits == std::string_view::npos ? std::string_view() : trim(text.substr(digits));
    return NumberAndUnit{*number, unit};
}

template <std::size_t N>
std::optional<std::uint64_t> scale(
    NumberAndUnit value, const std::array<std::pair<std::string_view, std::uint64_t>, N>& units) {
    for (const auto& [unit, factor] : units) {
        std::uint64_t out = 0;
        if (unit == value.unit && !__builtin_mul_overflow(value.number, factor, &out) &&
            out <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            return out;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> digits_at(std::string_view text, std::size_t at, std::size_t count) {
    const auto value = at + count <= text.size() ? parse_u64(text.substr(at, count)) : std::nullopt;
    return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 5> kUnits{
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    const auto parts = split_unit(text);
    if (parts && parts->number == 0 && parts->unit.empty()) return std::chrono::milliseconds(0);
    const auto ms = parts ? scale(*parts, kUnits) : std::nullopt;
    if (!ms) {
        return fail(ErrorCode::kConfig, fmt::format("'{}' is not a duration", text),
                    "write a whole number with ms, s, m, h or d, such as 500ms, 10s or 24h");
    }
    return std::chrono::milliseconds(static_cast<std::int64_t>(*ms));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
    static constexpr std::uint64_t kKi = 1024;
    static constexpr std::uint64_t kK = 1000;
    static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 10> kUnits{
        {{"", 1},
         {"B", 1},
         {"KiB", kKi},
         {"MiB", kKi * kKi},
         {"GiB", kKi * kKi * kKi},
         {"TiB", kKi * kKi * kKi * kKi},
         {"KB", kK},
         {"MB", kK * kK},
         {"GB", kK * kK * kK},
         {"TB", kK * kK * kK * kK}}};
    const auto parts = split_unit(text);
    const auto bytes = parts ? scale(*parts, kUnits) : std::nullopt;
    if (!bytes) {
        return fail(ErrorCode::kConfig, fmt::format("'{}' is not a size", text),
                    "write a whole number with B, KiB, MiB or GiB, such as 32MiB");
    }
    return *bytes;
}

Result<bool> parse_switch(std::string_view text) {
    for (const char* word : {"on", "true", "yes"}) {
        if (equals_ignore_case(text, word)) return true;
    }
    for (const char* word : {"off", "false", "no"}) {
        if (equals_ignore_case(text, word)) return false;
    }
    return fail(ErrorCode::kConfig, fmt::format("'{}' is neither on nor off", text),
                "write on or off");
}

Result<std::int64_t> parse_date(std::string_view text) {
    const auto bad = [&] {
        return fail(ErrorCode::kConfig, fmt::format("'{}' is not a date", text),
                    "write 2027-01-31 or 2027-01-31T08:30:00Z, in UTC");
    };
    const auto year = digits_at(text, 0, 4);
    const auto month = digits_at(text, 5, 2);
    const auto day = digits_at(text, 8, 2);
    if (!year || !month || !day || text[4] != '-' || text[7] != '-') return bad();
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) return bad();
    const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    if (text.size() == 10) return days * 86'400;
    const auto hour = digits_at(text, 11, 2);
    const auto minute = digits_at(text, 14, 2);
    const auto second = digits_at(text, 17, 2);
    if (text.size() != 20 || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
        text[19] != 'Z' || !hour || !minute || !second || *hour > 23 || *minute > 59 ||
        *second > 59) {
        return bad();
    }
    return days * 86'400 + *hour * 3600 + *minute * 60 + *second;
}

std::string format_date(std::int64_t unix_s) {
    const std::chrono::sys_seconds time{std::chrono::seconds(unix_s)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

Result<net::Address> parse_listen_address(std::string_view text) {
    auto address = net::parse_address(text);
    if (address && address->is_unix() && address->unix_path.front() != '/') {
        return fail(ErrorCode::kConfig, fmt::format("'{}' is not an absolute path", text),
                    "write unix:/path");
    }
    return address;
}

bool is_this_machine(const net::Address& address) {
    if (address.is_unix()) return true;
    in_addr v4{};
    if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    return equals_ignore_case(address.host, "localhost");
}

Result<void> check_name(std::string_view name) {
    bool ok = !name.empty() && name.size() <= 128;
    for (const char c : name) {
        ok = ok && c > ' ' && c < '\x7f' && c != ',' && c != '"' && c != '\'' && c != '\\';
    }
    if (ok) return {};
    return fail(ErrorCode::kConfig, fmt::format("'{}' cannot be a name", name),
                "use 1 to 128 printable ASCII characters without spaces, commas, quotes and "
                "backslashes");
}

}  // namespace leeway::app
