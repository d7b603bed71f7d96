#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "base/result.hpp"
#include "ledger/report.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace leeway::ledger {

/// One attempt for which the provider told what it bills, and our price says otherwise.
struct CostDifference {
    RequestId id;
    std::int64_t attempt = 0;
    PicoUsd own;
    PicoUsd reported;
    [[nodiscard]] Int128 difference() const noexcept {
        return Int128{reported.value()} - own.value();
    }
};

/// The attempts of one provider's model for which it told what it bills.
struct CostDifferenceRow {
    std::string provider;
    std::string model;
    std::int64_t attempts = 0;  ///< with a reported cost
    std::int64_t compared = 0;  ///< of those, with a cost of ours; the next three are over these
    std::int64_t beyond = 0;    ///< of those, different by more than the tolerance
    PicoUsdSum own;
    PicoUsdSum reported;
    std::int64_t unpriced = 0;  ///< attempts for which we have no price
    PicoUsdSum unpriced_reported;
    std::vector<CostDifference> worst;  ///< largest difference first; none where the figures agree

    [[nodiscard]] PicoUsdSum difference() const noexcept { return reported.minus(own); }
};

struct CostDifferenceQuery {
    ReportQuery
        report;  ///< its `by` means nothing here; provider and model are those of the attempt
    /// In 0.01 % of the larger of the two figures.
    std::int64_t tolerance_bp = 100;
    std::size_t worst = 5;  ///< so many of each row
};

struct CostDifferenceReport {
    CostDifferenceQuery query;
    std::vector<CostDifferenceRow> rows;  ///< largest difference first
    CostDifferenceRow total;  ///< without names and `worst`
    std::vector<std::string> notes;
};

/// Compares what providers said that they bill with what our prices make of the same usage, attempt by attempt.
/// From the rows that are still there. Exact to the picodollar.
[[nodiscard]] Result<CostDifferenceReport> build_cost_differences(store::sql::Database& db,
                                                                  const CostDifferenceQuery& query);

[[nodiscard]] std::string render_cost_differences_table(const CostDifferenceReport& report,
                                                        bool colour);
[[nodiscard]] std::string render_cost_differences_json(const CostDifferenceReport& report);
/// A line per provider and model; `worst` has ids with a space between.
[[nodiscard]] std::string render_cost_differences_csv(const CostDifferenceReport& report);

/// `leeway report --cost-differences`; like `run_report`.
[[nodiscard]] int run_cost_differences(const ReportOptions& options, std::int64_t tolerance_bp,
                                       std::size_t worst, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
