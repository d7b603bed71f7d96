#pragma once

#include "base/result.hpp"
#include "ledger/totals.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

enum class ReportBy : std::uint8_t { kDay = 0, kKey = 1, kRoute = 2, kModel = 3 };
enum class ReportFormat : std::uint8_t { kTable = 0, kJson = 1, kCsv = 2 };

[[nodiscard]] std::string_view to_string(ReportBy by) noexcept;
/// "day", "key", "route" or "model".
[[nodiscard]] std::optional<ReportBy> parse_report_by(std::string_view text) noexcept;

struct ReportQuery {
    ReportBy by = ReportBy::kDay;
    std::optional<std::int64_t> since_us{};  ///< first moment, inclusive
    std::optional<std::int64_t> until_us{};  ///< last moment, exclusive
};

struct ReportRow {
    std::string group;  ///< a day "2026-11-24" or a name; empty: the requests that have none
    Totals totals;
};

struct Report {
    ReportQuery query;
    std::vector<ReportRow> rows;  ///< days in order; names by what they spent, dearest first
    Totals totals;
    std::vector<std::string> notes;  ///< what the reader must know, for the terminal
};

/// Adds up what the query asks for: whole days from the roll-ups, days that the range cuts from the
/// rows, or, where `ledger.retention_days` has taken those away, the whole of that day (and a note). Works on one snapshot of the database. Exact to the picodollar.
[[nodiscard]] Result<Report> build_report(store::sqlite::Database& db, const ReportQuery& query);

/// For a terminal: aligned columns and a bar of spent against saved. `colour` adds ANSI colours.
[[nodiscard]] std::string render_table(const Report& report, bool colour);
/// One JSON object. Money three times: `spent_usd` (decimal text), `spent_pico` (integer as text)
/// and `spent_pico_usd` (integer); null when it is unknown.
[[nodiscard]] std::string render_json(const Report& report);
/// One line per group and no total; empty fields for what is unknown.
[[nodiscard]] std::string render_csv(const Report& report);

/// USD for people: thousands separators, at least two decimals and at least three significant
/// digits: "1,234.56", "0.00", "0.000123".
[[nodiscard]] std::string display_usd(PicoUsdSum amount);

/// `leeway report`.
struct ReportOptions {
    std::string state_dir;
    ReportBy by = ReportBy::kDay;
    std::string since;  ///< as `parse_time` reads it; empty: from the beginning
    std::string until;  ///< the same; empty: until now
    ReportFormat format = ReportFormat::kTable;
    bool colour = false;
};

/// Replays what a dead gateway left, then prints the report to `out`; errors go to `err`. Returns
/// the exit status: 0, or 1 when there is no report.
[[nodiscard]] int run_report(const ReportOptions& options, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
