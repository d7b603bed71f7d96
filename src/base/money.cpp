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

std::optional<PicoUsd> parse_usd(std::string_view text) noexcept {
    constexpr int kDecimals = 12;
    constexpr int kMostDigits = 36;  // of 10^38 that fit; the rest only decides about rounding
    constexpr std::int64_t kMostExponent = 1000;
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    Int128 value = 0;
    std::int64_t scale = kDecimals;  // amount = value · 10^scale in 1e-12 USD
    int digits_kept = 0;
    bool sticky = false;
    bool dot = false;
    bool any = false;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '.' && !dot) {
            dot = true;
            continue;
        }
        if (c < '0' || c > '9') break;
        any = true;
        if (digits_kept < kMostDigits) {
            value = value * 10 + (c - '0');
            digits_kept += value != 0 ? 1 : 0;
            scale -= dot ? 1 : 0;
        } else {
            sticky = sticky || c != '0';
            scale += dot ? 0 : 1;
        }
    }
    if (!any) return std::nullopt;
    if (i < text.size()) {
        if (text[i] != 'e' && text[i] != 'E') return std::nullopt;
        ++i;
        const bool down = i < text.size() && text[i] == '-';
        if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
        if (i == text.size()) return std::nullopt;
        std::int64_t exponent = 0;
        for (; i < text.size(); ++i) {
            if (text[i] < '0' || text[i] > '9') return std::nullopt;
            if (exponent < kMostExponent) exponent = exponent * 10 + (text[i] - '0');
        }
        scale += down ? -exponent : exponent;
    }
    constexpr Int128 kMost = std::numeric_limits<std::int64_t>::max();
    for (; scale > 0 && value != 0; --scale) {
        value *= 10;
        if (value > kMost) return std::nullopt;
    }
    int last = 0;  // the digit that was cut off last
    for (; scale < 0 && (value != 0 || last != 0); ++scale) {
        sticky = sticky || last != 0;
        last = static_cast<int>(value % 10);
        value /= 10;
    }
    if (last > 5 || (last == 5 && (sticky || value % 2 != 0))) ++value;
    if (value > kMost) return std::nullopt;
    return PicoUsd(static_cast<std::int64_t>(negative ? -value : value));
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
