#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "ledger/bill.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// Why a bill and the ledger differ.
enum class Cause : std::uint8_t {
    kMissingCalls = 0,  ///< billed calls that the ledger does not have, at the bill's mean
    kNotBilled = 1,     ///< calls of the ledger that the bill does not have; ≤ 0
    kTokens = 2,        ///< other counts of tokens for the same calls, at the bill's mean
    kUnpriced = 3,      ///< calls whose cost the ledger does not know
    kRounding = 4,      ///< below what the bill's decimals can show
    kPrice = 5,         ///< the rest: other prices
};
inline constexpr std::array<std::string_view, 6> kCauseNames{
    "missing_calls", "not_billed", "tokens", "unpriced", "rounding", "price"};

/// What the ledger has of one model on one day: attempts that a provider may bill.
struct LedgerSide {
    std::int64_t requests = 0;
    std::int64_t unpriced = 0;  ///< of those, with an unknown cost
    std::int64_t input_tokens = 0;
    std::int64_t cached_tokens = 0;
    std::int64_t output_tokens = 0;
    PicoUsdSum cost;  ///< of the priced ones
};

struct ReconcileRow {
    std::int64_t day = 0;
    std::string model;  ///< the provider's name of it
    bool billed = false;
    BillLine bill;
    LedgerSide ledger;
    /// bill − ledger; the sum of the causes. Nothing where the bill tells no money.
    PicoUsdSum difference;
    std::array<PicoUsdSum, 6> causes{};
    std::int64_t token_difference = 0;  ///< input and output; 0 where the bill tells none
};

struct Reconciliation {
    std::string form;
    bool has_cost = false;
    std::vector<ReconcileRow> rows;  ///< by day and model
    PicoUsdSum billed;
    PicoUsdSum ledger;
    std::array<PicoUsdSum, 6> causes{};
    std::int64_t billed_tokens = 0;
    PicoUsdSum off;            ///< sum of the differences without their signs
    std::int64_t tokens_off = 0;
    /// Differences in parts per million of the bill: of its money, or of its tokens where it has none.
    [[nodiscard]] std::int64_t off_ppm() const noexcept;
};

/// Compares, over the days [first_day, end_day). `provider` empty: all.
[[nodiscard]] Result<Reconciliation> reconcile(store::sql::Database& db, const Bill& bill,
                                               std::string_view provider, std::int64_t first_day,
                                               std::int64_t end_day);
[[nodiscard]] std::string render_reconciliation_table(const Reconciliation& result);
[[nodiscard]] std::string render_reconciliation_json(const Reconciliation& result);

/// `leeway reconcile`.
struct ReconcileOptions {
    std::string state_dir;
    Secret database = {};  ///< see database_target
    std::string file;
    std::string provider;
    std::string since;
    std::string until;
    std::string fail_above;  ///< percent, as a decimal; empty: never
    bool json = false;
};
/// 0, or 1: the difference is above `fail_above`, or something could not be read.
[[nodiscard]] int run_reconcile(const ReconcileOptions& options, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
