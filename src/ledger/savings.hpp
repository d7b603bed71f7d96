#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "ledger/report.hpp"
#include "prices/waterfall.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// What one step of the waterfall saved over many requests, by how it is known.
struct StepSum {
    std::int64_t requests = 0;
    std::array<PicoUsdSum, 4> by_label{};  ///< by prices::SavingLabel
    [[nodiscard]] PicoUsdSum total() const noexcept {
        PicoUsdSum sum;
        for (const PicoUsdSum part : by_label) sum.add(part);
        return sum;
    }
};

/// One side of a comparison. The squares are for the interval only.
struct ArmTotals {
    std::int64_t requests = 0;
    std::int64_t errors = 0;
    std::int64_t known = 0;  ///< requests whose cost is known
    PicoUsdSum spent;
    double squares_usd2 = 0;
};

/// What the held-out requests of a route say about those that were not.
struct Comparison {
    enum class Claim : std::uint8_t { kTooLittle, kNoDifference, kSaves, kCostsMore };
    std::string route;
    ArmTotals treated;
    ArmTotals held_out;
    Claim claim = Claim::kTooLittle;
    // USD per request: how much dearer a held-out one is, and its 95 % interval. Estimates, not money.
    double difference_usd = 0;
    double low_usd = 0;
    double high_usd = 0;
};
/// Fewer priced requests than this on either side support no claim.
inline constexpr std::int64_t kLeastEvidence = 30;

/// Difference of the means by Welch, with a normal interval of 95 %.
[[nodiscard]] Comparison compare_arms(std::string route, const ArmTotals& treated,
                                      const ArmTotals& held_out);

struct SavingsReport {
    ReportQuery query;  ///< its `by` means nothing here
    std::int64_t known = 0;  ///< requests with a waterfall
    std::int64_t unknown = 0;  ///< requests without one: a price is missing
    PicoUsdSum baseline;  ///< of the known ones, like the next two
    PicoUsdSum actual;
    std::array<StepSum, prices::kSavingSteps> steps{};
    std::vector<Comparison> comparisons;
    std::vector<std::string> notes;
};

/// Adds the waterfalls up: from the roll-ups as `build_report` does, unless a filter asks for more than a route. An
/// error when the steps do not add up to the picodollar: then the database was changed by someone else.
[[nodiscard]] Result<SavingsReport> build_savings(store::sql::Database& db,
                                                  const ReportQuery& query);

[[nodiscard]] std::string render_savings_table(const SavingsReport& report, bool colour);
[[nodiscard]] std::string render_savings_json(const SavingsReport& report);
/// A line per step and label, and lines for baseline and actual.
[[nodiscard]] std::string render_savings_csv(const SavingsReport& report);

/// `leeway report --savings`; like `run_report`.
[[nodiscard]] int run_savings(const ReportOptions& options, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
