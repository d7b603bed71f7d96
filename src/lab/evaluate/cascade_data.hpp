#pragma once

#include "base/result.hpp"
#include "lab/outcomes/outcome_table.hpp"
#include "methods/cascade/policy.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// One task of an outcome table, as cascades are fitted to it and measured on it.
struct CascadeData {
    std::string task;  ///< "all" where the file knows none
    std::vector<std::string> models;
    cascade::Labelled outcomes;
    std::size_t incomplete = 0;  ///< queries left out: some model's outcome is missing

    [[nodiscard]] std::optional<std::size_t> model(std::string_view name) const noexcept;
    /// The dearest by mean cost.
    [[nodiscard]] std::size_t top() const;
};

/// The tasks of a table. An answer's score is its mean log-probability and, where that is equal, the shortness of what
/// was asked. Models whose outcomes are missing or all zero throughout a task are left out there. `only`: these tasks;
/// empty: all. Errors: no cost (kConfig), an unknown task, a task without a query that all its models answered.
[[nodiscard]] Result<std::vector<CascadeData>> cascade_data(const OutcomeTable& table,
                                                            std::span<const std::string> only);

/// These queries of a table, all of whose models answered them, as cascades look at them.
[[nodiscard]] cascade::Labelled labelled_of(const OutcomeTable& table,
                                            std::span<const std::size_t> queries);

/// How much was asked, which tells answers of one confidence apart: tokens, or bytes where nobody counted them.
[[nodiscard]] std::int64_t asked_length(const OutcomeTable& table, const ModelOutcomes& model,
                                        std::size_t query) noexcept;

/// Labels leave at least so many rows for a test.
inline constexpr std::size_t kLeastTest = 50;

/// The seed of one repetition of an experiment, told by that of the whole and its number.
[[nodiscard]] constexpr std::uint64_t seed_of(std::uint64_t seed, std::size_t repetition) noexcept {
    return seed * 1'000'003 + repetition;
}
/// 0 to rows - 1 in an order by chance.
[[nodiscard]] std::vector<std::size_t> shuffled_rows(std::size_t rows, std::uint64_t seed);

/// Some rows of it, and all the others.
struct CascadeSplit {
    cascade::Labelled labels;
    cascade::Labelled test;
    std::vector<std::size_t> test_rows;
};
/// `labels` rows by chance, the rest for the test; the same seed makes the same split. `labels` < rows.
[[nodiscard]] CascadeSplit split_rows(const cascade::Labelled& outcomes, std::size_t labels,
                                      std::uint64_t seed);

}  // namespace leeway::lab
