#pragma once

#include "lab/outcomes/outcome_store.hpp"

#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::lab {

// How the store's numbers stand in its columns.
inline constexpr double kMillionths = 1e6;
inline constexpr double kLogprobUnit = 1e-12;

[[nodiscard]] inline std::int64_t in_millionths(double value) {
    return std::llround(value * kMillionths);
}
[[nodiscard]] inline std::optional<std::int64_t> in_millionths(const std::optional<double>& value) {
    if (!value) return std::nullopt;
    return in_millionths(*value);
}

/// A log-probability in 1e-12, rounded down: a threshold that is fitted to what was kept lets pass what it was fitted to.
[[nodiscard]] inline std::optional<std::int64_t> logprob_column(
    const std::optional<double>& logprob) {
    if (!logprob) return std::nullopt;
    return static_cast<std::int64_t>(std::floor(*logprob / kLogprobUnit));
}

/// Whether it can be kept.
[[nodiscard]] inline bool is_sound(const StoredCall& call) noexcept {
    return call.propensity > 0 && call.propensity <= 1 && !(call.cost && call.cost->value() < 0);
}

/// Parameters 2 to 9: model, cost_pico_usd, tokens_in, tokens_out, latency_us, mean_logprob, propensity, at_s. `call` must
/// live until the statement has run.
inline void bind_call(store::sqlite::Statement& to, const StoredCall& call) {
    std::optional<std::int64_t> cost;
    if (call.cost) cost = call.cost->value();
    std::optional<std::int64_t> latency_us;
    if (call.latency_ms) latency_us = std::llround(*call.latency_ms * 1000);
    to.bind(2, std::string_view(call.model)).bind(3, cost);
    to.bind(4, call.tokens_in).bind(5, call.tokens_out).bind(6, latency_us);
    to.bind(7, logprob_column(call.mean_logprob)).bind(8, in_millionths(call.propensity));
    to.bind(9, call.at_s);
}

/// The same from columns `first` on.
[[nodiscard]] inline StoredCall read_call(const store::sqlite::Statement& row, int first) {
    StoredCall out;
    out.model = row.text(first);
    if (const auto cost = row.optional_int64(first + 1)) out.cost = PicoUsd(*cost);
    out.tokens_in = row.optional_int64(first + 2);
    out.tokens_out = row.optional_int64(first + 3);
    if (const auto us = row.optional_int64(first + 4))
        out.latency_ms = static_cast<double>(*us) / 1000;
    if (const auto logprob = row.optional_int64(first + 5))
        out.mean_logprob = static_cast<double>(*logprob) * kLogprobUnit;
    out.propensity = static_cast<double>(row.int64(first + 6)) / kMillionths;
    out.at_s = row.int64(first + 7);
    return out;
}

}  // namespace leeway::lab
