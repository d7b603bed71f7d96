#include "prices/price.hpp"

#include <array>
#include <utility>

namespace leeway::prices {

std::optional<PicoUsd> cost(const Usage& usage, const ModelPrice& price) noexcept {
    const auto& cached = price.cached_input ? price.cached_input : price.input;
    const auto& written = price.cache_write ? price.cache_write : price.input;
    const std::array<std::pair<std::int64_t, std::optional<FemtoUsdPerUnit>>, 7> parts{{
        {usage.input, price.input},
        {usage.cached_input, cached},
        {usage.cache_write_input, written},
        {usage.audio_input, price.audio_input},
        {usage.output, price.output},
        {usage.reasoning_output, price.output},
        {usage.audio_output, price.audio_output},
    }};
    PicoUsd sum;
    for (const auto& [count, rate] : parts) {
        if (count == 0) continue;
        if (!rate) return std::nullopt;
        const auto part = cost_of(count, *rate);
        if (!part) return std::nullopt;
        const auto next = sum.plus(*part);
        if (!next) return std::nullopt;
        sum = *next;
    }
    return sum;
}

}  // namespace leeway::prices
