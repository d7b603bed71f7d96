#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "lab/outcomes/csv_rows.hpp"
#include "lab/outcomes/outcome_table.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace leeway::lab {

struct OutcomeReading {
    /// Of models for which the file has no costs: USD per million tokens, whether sent or received.
    std::map<std::string, FemtoUsdPerUnit, std::less<>> prices;
    std::vector<std::string> tasks;  ///< only these; empty: all
    /// Told now and then how many rows were read; may be empty.
    std::function<void(std::size_t)> progress;
};

/// Where a file has a price and no number of tokens, a call has as many.
inline constexpr std::int64_t kNominalTokens = 1000;

/// Reads outcomes in one of the forms of docs/formats/outcomes.md, which the first line tells. What `OutcomeFaults`
/// counts is put right. Errors (kConfig), with line and column: no such form; broken quoting; a row of another
/// length; a quality outside 0 … 1; a negative cost; no number where one must be; no row; a cut gzip; a price for a
/// model that the file does not have.
[[nodiscard]] Result<OutcomeTable> read_outcomes(const ReadBytes& bytes, const OutcomeReading& how);
/// Likewise of a file, which may be gzip; the message begins with its name.
[[nodiscard]] Result<OutcomeTable> read_outcome_file(const std::filesystem::path& path,
                                                     const OutcomeReading& how = {});

/// An error that names models without costs and says how to give them, unless there is none.
[[nodiscard]] Result<void> require_costs(const OutcomeTable& table);

}  // namespace leeway::lab
