#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "ledger/report.hpp"
#include "prices/commitment.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace leeway::ledger {

/// What was used of a commitment in its window: what its provider's attempts cost, as the ledger has it.
struct CommitmentStanding {
    prices::Commitment commitment;
    prices::CommitmentWindow window;
    std::int64_t attempts = 0;
    std::int64_t unknown_cost = 0;  ///< of those: they are not in `spent`, so more may be used
    PicoUsdSum spent;

    /// nullopt: unknown, as no attempt has a known cost.
    [[nodiscard]] std::optional<PicoUsdSum> used() const noexcept;
    /// What is still to be spent, never negative; where some costs are unknown, at most this.
    [[nodiscard]] std::optional<PicoUsdSum> left() const noexcept;
    /// What was spent beyond it, never negative.
    [[nodiscard]] std::optional<PicoUsdSum> beyond() const noexcept;
};

struct CommitmentReport {
    std::int64_t at_us = 0;
    std::vector<CommitmentStanding> standings;  ///< in the order of the commitments
};

/// How the commitments stand at `at_us`. From roll-ups: also over days whose rows are gone. Whole days.
[[nodiscard]] Result<CommitmentReport> build_commitments(
    store::sql::Database& db, std::span<const prices::Commitment> commitments, std::int64_t at_us);

[[nodiscard]] std::string render_commitments_table(const CommitmentReport& report, bool colour);
[[nodiscard]] std::string render_commitments_json(const CommitmentReport& report);
/// A line per commitment; empty fields for what is unknown.
[[nodiscard]] std::string render_commitments_csv(const CommitmentReport& report);

/// `leeway report --commitments`; like `run_report`. `options.until` is the moment, empty: now.
[[nodiscard]] int run_commitments(const ReportOptions& options,
                                  std::span<const prices::Commitment> commitments, std::FILE* out,
                                  std::FILE* err);

}  // namespace leeway::ledger
