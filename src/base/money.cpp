#include "base/money.hpp"

#include <algorithm>

namespace leeway {
namespace {

constexpr Int128 kFemtoPerPico = 1000;
constexpr Int128 kPicoPerUsd = 1'000'000'000'000;

std::string digits(Int128 value) {
    if (value >= 0 && value <= std::numeric_limits<std::int64_t>::max()) {
        return std::to_string(static_cast<std::int64_t>(value));  // nearly always
    }
    const bool negative = value < 0;
    // The magnitude of the smallest value does not fit the signed type.
    auto magnitude = negative ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
    std::string out;
    do {
        out.push_back(static_cast<char>('0' + static_cast<int>(magnitude % 10)));
        magnitude /= 10;
    } while (magnitude != 0);
    if (negative) out.push_back('-');
    std::reverse(out.begin(), out.end());
    return out;
}

}  // namespace

std::optional<PicoUsd> cost_of(std::int64_t units, FemtoUsdPerUnit rate) noexcept {
    if (units < 0 || rate.value() < 0) return std::nullopt;
    const Int128 femto = Int128{units} * Int128{rate.value()};
    Int128 pico = femto / kFemtoPerPico;
    const Int128 rest = femto % kFemtoPerPico;
    if (rest > 500 || (rest == 500 && pico % 2 != 0)) ++pico;
    if (pico > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    return PicoUsd(static_cast<std::int64_t>(pico));
}

Result<FemtoUsdPerUnit> parse_usd_per_million(std::string_view text) {
    const auto bad = [&] {
        return fail(
            ErrorCode::kConfig,
            "'" + std::string(text) + "' is not a price in USD per million tokens",
            "write a decimal number from 0 to 9000000 with at most nine decimals, e.g. 2.50");
    };
    std::int64_t whole = 0;
    std::int64_t fraction = 0;
    int decimals = 0;
    bool seen_digit = false;
    bool seen_dot = false;
    for (const char c : text) {
        if (c == '.' && !seen_dot) {
            seen_dot = true;
            continue;
        }
        if (c < '0' || c > '9') return bad();
        seen_digit = true;
        if (seen_dot) {
            if (++decimals > 9) return bad();
            fraction = fraction * 10 + (c - '0');
        } else {
            whole = whole * 10 + (c - '0');
            if (whole > 9'000'000) return bad();
        }
    }
    if (!seen_digit) return bad();
    for (; decimals < 9; ++decimals) fraction *= 10;
    // 1 USD per million units = 1e9 femto-USD per unit.
    return FemtoUsdPerUnit(whole * 1'000'000'000 + fraction);
}

std::string to_usd_string(Int128 pico) {
    const bool negative = pico < 0;
    Int128 whole = 0;
    Int128 rest = 0;
    if (pico >= 0 && pico <= std::numeric_limits<std::int64_t>::max()) {
        // Dividing 128 bits costs ten times as much.
        const auto small = static_cast<std::int64_t>(pico);
        whole = small / static_cast<std::int64_t>(kPicoPerUsd);
        rest = small % static_cast<std::int64_t>(kPicoPerUsd);
    } else {
        whole = pico / kPicoPerUsd;
        rest = pico % kPicoPerUsd;
    }
    if (rest < 0) rest = -rest;
    if (whole < 0) whole = -whole;
    std::string out = (negative ? "-" : "") + digits(whole);
    if (rest == 0) return out;
    std::string decimals = digits(rest);
    decimals.insert(0, 12 - decimals.size(), '0');
    decimals.erase(decimals.find_last_not_of('0') + 1);
    return out + "." + decimals;
}

std::string to_pico_string(PicoUsdSum sum) { return digits(sum.value()); }

}  // namespace leeway
