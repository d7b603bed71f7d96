#pragma once

#include "base/result.hpp"
#include "lab/estimate/evaluate.hpp"
#include "lab/estimate/scenario.hpp"

#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// A call that was made, as far as an estimate needs it.
struct RecordedCall {
    std::string model;
    std::string route;       ///< empty: none
    std::int64_t ts_us = 0;  ///< 0: not told
    std::size_t line = 0;    ///< in the file
    std::int64_t input = 0;  ///< all of it, in tokens
    std::int64_t cached = 0;  ///< of it, read from the provider's cache
    std::int64_t output = 0;  ///< all of it
    std::int64_t reasoning = 0;  ///< of it
};
struct Recorded {
    std::vector<RecordedCall> calls;  ///< by time
    std::size_t passed_over =
        0;  ///< lines that say nothing of tokens: refusals, cache hits, cut answers
};

/// Reads JSON lines: those of `leeway ledger export --jsonl`, or objects with model, input_tokens,
/// output_tokens, and perhaps route, ts (seconds), cached_input_tokens, reasoning_tokens. Only calls of
/// `route` when that is not empty. A line that is no object, or has a negative or impossible count, is an
/// error that says where. Reads `in` to its end; memory is that of the calls.
[[nodiscard]] Result<Recorded> read_recorded(std::FILE* in, std::string_view route);

/// The recorded calls as flows, one for each route and model. Requests per month are those of the time from
/// `since_us` to `until_us`; nullopt: from the first call to the last.
[[nodiscard]] Result<Scenario> scenario_of(const Recorded& recorded,
                                           std::optional<std::int64_t> since_us,
                                           std::optional<std::int64_t> until_us);

/// Lengths as this model answered; nullopt: fewer than `Lengths::kLeast` calls of it are recorded.
[[nodiscard]] std::optional<Answers> answers_of(const Recorded& recorded, std::string_view model);

/// How well recorded answers of one model on one route would have been foretold: fitted to the first half in time, tested
/// on the second. Shares in permille.
struct Backtest {
    std::string name;  ///< route and model
    std::size_t fitted = 0;
    std::size_t tested = 0;
    std::size_t beneath = 0;  ///< shorter than P10
    std::size_t above = 0;  ///< longer than P90
    bool priced = false;  ///< errors are of the cost; else, the price being unknown, of the output
    std::int64_t median_error_permille = 0;  ///< |P50 − actual| over actual
    std::int64_t sum_error_permille = 0;  ///< expected sum over the actual one, less 1

    [[nodiscard]] std::size_t inside() const noexcept { return tested - beneath - above; }
};
/// A test for each route and model with at least twice `Lengths::kLeast` calls, most calls first.
[[nodiscard]] std::vector<Backtest> backtest(
    const Recorded& recorded, const std::function<PricedModel(const std::string&)>& model_of,
    std::int64_t unix_s);

}  // namespace leeway::lab
