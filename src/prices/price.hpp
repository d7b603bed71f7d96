#pragma once

#include "base/money.hpp"
#include "prices/usage.hpp"

#include <optional>

namespace leeway::prices {

/// What a model costs, per token. A rate that is not given is unknown, not free.
struct ModelPrice {
    std::optional<FemtoUsdPerUnit> input;
    std::optional<FemtoUsdPerUnit> cached_input;  ///< not given: cached input costs as fresh input
    std::optional<FemtoUsdPerUnit> cache_write;  ///< not given: as fresh input
    std::optional<FemtoUsdPerUnit> output;  ///< reasoning output costs as visible output
    std::optional<FemtoUsdPerUnit> audio_input;
    std::optional<FemtoUsdPerUnit> audio_output;

    [[nodiscard]] bool known() const noexcept { return input.has_value() && output.has_value(); }
    friend bool operator==(const ModelPrice&, const ModelPrice&) = default;
};

/// The cost of `usage` at `price`: one rounding per bucket, then a checked sum. nullopt (unknown)
/// when a rate that is needed is not known, when a count is negative, or on overflow.
[[nodiscard]] std::optional<PicoUsd> cost(const Usage& usage, const ModelPrice& price) noexcept;

}  // namespace leeway::prices
