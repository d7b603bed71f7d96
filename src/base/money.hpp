#pragma once

#include "base/result.hpp"

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace leeway {

// A 128-bit integer is a compiler extension; this is the one place that names it.
__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

/// An amount of money in 1e-12 USD. int64 reaches ±9.22 million USD: enough for one request; sums
/// over many rows use `PicoUsdSum`. Arithmetic is checked: an overflow yields no value.
class PicoUsd {
public:
    constexpr PicoUsd() = default;
    constexpr explicit PicoUsd(std::int64_t value) : value_(value) {}

    [[nodiscard]] constexpr std::int64_t value() const noexcept { return value_; }

    /// nullopt on overflow.
    [[nodiscard]] constexpr std::optional<PicoUsd> plus(PicoUsd other) const noexcept {
        std::int64_t out = 0;
        if (__builtin_add_overflow(value_, other.value_, &out)) return std::nullopt;
        return PicoUsd(out);
    }
    /// nullopt on overflow.
    [[nodiscard]] constexpr std::optional<PicoUsd> minus(PicoUsd other) const noexcept {
        std::int64_t out = 0;
        if (__builtin_sub_overflow(value_, other.value_, &out)) return std::nullopt;
        return PicoUsd(out);
    }

    friend constexpr auto operator<=>(PicoUsd, PicoUsd) = default;

private:
    std::int64_t value_ = 0;
};

/// A sum of many amounts, in 1e-12 USD; 128 bits cannot overflow by adding int64 rows.
class PicoUsdSum {
public:
    constexpr PicoUsdSum() = default;
    constexpr explicit PicoUsdSum(Int128 value) : value_(value) {}
    constexpr void add(PicoUsd amount) noexcept { value_ += amount.value(); }
    constexpr void add(PicoUsdSum other) noexcept { value_ += other.value_; }
    [[nodiscard]] constexpr PicoUsdSum minus(PicoUsdSum other) const noexcept {
        return PicoUsdSum(value_ - other.value_);
    }
    [[nodiscard]] constexpr Int128 value() const noexcept { return value_; }
    friend constexpr auto operator<=>(PicoUsdSum, PicoUsdSum) = default;

private:
    Int128 value_ = 0;
};

/// A price in 1e-15 USD per unit (per token: 1 USD per million tokens = 1e9).
class FemtoUsdPerUnit {
public:
    constexpr FemtoUsdPerUnit() = default;
    constexpr explicit FemtoUsdPerUnit(std::int64_t value) : value_(value) {}
    [[nodiscard]] constexpr std::int64_t value() const noexcept { return value_; }
    friend constexpr auto operator<=>(FemtoUsdPerUnit, FemtoUsdPerUnit) = default;

private:
    std::int64_t value_ = 0;
};

/// units × rate, computed in 128 bits and rounded once, half to even, to PicoUsd.
/// nullopt when `units` is negative or the amount does not fit.
[[nodiscard]] std::optional<PicoUsd> cost_of(std::int64_t units, FemtoUsdPerUnit rate) noexcept;

/// Reads a decimal price "2.50" (USD per million units) exactly, without a double in between.
/// Up to nine decimals; negative, empty, or over 9,000,000 USD per million is an error.
[[nodiscard]] Result<FemtoUsdPerUnit> parse_usd_per_million(std::string_view text);

/// Reads a decimal amount of USD as JSON spells numbers ("0.0025", "7.5e-05", "-1"), rounded once, half
/// to even, to 1e-12 USD, without a double in between. nullopt: no number, or it does not fit.
[[nodiscard]] std::optional<PicoUsd> parse_usd(std::string_view text) noexcept;

/// "0.0001234" style USD with all digits that matter (at most 12 decimals, no trailing zeros).
[[nodiscard]] std::string to_usd_string(Int128 pico);
[[nodiscard]] inline std::string to_usd_string(PicoUsd amount) {
    return to_usd_string(Int128{amount.value()});
}
[[nodiscard]] inline std::string to_usd_string(PicoUsdSum sum) {
    return to_usd_string(sum.value());
}

/// The plain integer, for JSON and CSV ("cost_pico_usd").
[[nodiscard]] std::string to_pico_string(PicoUsdSum sum);

}  // namespace leeway
