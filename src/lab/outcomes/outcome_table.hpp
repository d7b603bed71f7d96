#pragma once

#include "base/money.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// What was asked.
struct OutcomeQuery {
    std::string id;  ///< as the file calls it; may be empty
    std::string task;  ///< empty: the file knows none
    std::string split;  ///< "train", "test", …; empty: the file knows none
    std::string text;
};

enum class CellState : std::uint8_t {
    kMissing = 0,  ///< nothing is known; the numbers of the cell mean nothing
    kKnown = 1,
    /// The model has quality 0 on every query of this task: most likely nobody could read its answers. The numbers are
    /// those of the file; learn nothing from them.
    kAllZero = 2,
};

/// Log-probabilities below this say no more than it does; those of the file are raised to it.
inline constexpr float kLeastLogprob = -20.0F;

/// What one model did, an element per query.
struct ModelOutcomes {
    std::string model;
    std::vector<CellState> state;
    std::vector<float> quality;  ///< 0 … 1
    std::vector<PicoUsd> cost;  ///< of the call; never negative. Means nothing unless `has_cost`
    /// Mean log-probability of the answer's tokens in nats, kLeastLogprob … 0; NaN where it is not known. No infinities.
    std::vector<float> mean_logprob;
    std::vector<float> latency_ms;  ///< NaN: not known
    std::vector<std::int32_t> tokens_in;  ///< -1: not known
    std::vector<std::int32_t> tokens_out;  ///< -1: not known
    bool has_cost = false;  ///< each cell that is not missing has a cost
    bool has_logprobs = false;  ///< some cell has one

    [[nodiscard]] bool known(std::size_t query) const noexcept {
        return state[query] == CellState::kKnown;
    }
    [[nodiscard]] std::optional<float> logprob(std::size_t query) const noexcept;
    /// As many cells; those that are added are missing.
    void resize(std::size_t queries);
};

/// A model and a task whose outcomes are all 0.
struct AllZeroColumn {
    std::string model;
    std::string task;
    std::size_t queries = 0;
};

/// What was wrong with a file and was put right.
struct OutcomeFaults {
    std::size_t rows = 0;  ///< of the file
    std::size_t duplicates = 0;  ///< rows left out: an earlier row asks the same
    /// Of those, rows whose split is another one than the earlier row's: they would have leaked.
    std::size_t duplicates_across_splits = 0;
    std::size_t missing_cells = 0;  ///< without a quality, or with NaN
    std::size_t logprobs_raised = 0;  ///< −∞, or below kLeastLogprob
    std::size_t logprobs_lowered = 0;  ///< above 0, as rounding makes them
    std::size_t logprobs_unknown = 0;  ///< NaN in the file
    std::vector<AllZeroColumn> all_zero;
};

/// Outcomes of several models on the same queries, by column. Plain data: whoever holds it may change it, one thread
/// at a time; any number of threads may read.
struct OutcomeTable {
    std::vector<OutcomeQuery> queries;
    std::vector<ModelOutcomes> models;  ///< each with `queries.size()` cells
    OutcomeFaults faults;

    /// nullopt: there is no such model.
    [[nodiscard]] std::optional<std::size_t> model(std::string_view name) const noexcept;
    /// The tasks in the order in which they first come.
    [[nodiscard]] std::vector<std::string> tasks() const;
    /// Queries for which no cell is missing.
    [[nodiscard]] std::vector<std::size_t> complete_queries() const;
    /// The table of these queries only, in their order. `faults` are those of the whole.
    [[nodiscard]] OutcomeTable only(std::span<const std::size_t> chosen) const;
    /// Adds a query whose cells are all missing; returns its number.
    std::size_t add_query(OutcomeQuery query);
};

/// A (task, model) pair with fewer outcomes than this may well be 0 by chance.
inline constexpr std::size_t kAllZeroFrom = 20;

/// Marks as kAllZero what has quality 0 on all of at least kAllZeroFrom queries of a task in which another model has
/// more than 0, and notes it in `faults`.
void mark_all_zero_columns(OutcomeTable& table);

}  // namespace leeway::lab
