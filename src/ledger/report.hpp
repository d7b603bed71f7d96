#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "ledger/totals.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::ledger {

/// What a report can be grouped and filtered by.
enum class ReportBy : std::uint8_t {
    kDay = 0,
    kHour,
    kKey,
    kUser,
    kRoute,
    kModel,
    kProvider,
    kTag,  ///< a request with several counts for each of them, and once in the total
    kSession,
    kAgent,
};
inline constexpr std::array<std::string_view, 10> kReportByNames{
    "day", "hour", "key", "user", "route", "model", "provider", "tag", "session", "agent"};
enum class ReportFormat : std::uint8_t { kTable = 0, kJson = 1, kCsv = 2 };

[[nodiscard]] std::string_view to_string(ReportBy by) noexcept;
[[nodiscard]] std::optional<ReportBy> parse_report_by(std::string_view text) noexcept;
/// One word or two different ones with a comma between, such as "model,day".
[[nodiscard]] std::optional<std::vector<ReportBy>> parse_report_groups(std::string_view text);

/// Only requests with this value; empty: those that have none. Not for days and hours.
struct ReportFilter {
    ReportBy by = ReportBy::kKey;
    std::string value;
};

struct ReportQuery {
    std::vector<ReportBy> by{ReportBy::kDay};  ///< one or two
    std::optional<std::int64_t> since_us{};  ///< first moment, inclusive
    std::optional<std::int64_t> until_us{};  ///< last moment, exclusive
    std::vector<ReportFilter> filters{};     ///< all must hold
};

struct ReportRow {
    /// One per `ReportQuery::by`: a day "2026-11-24", an hour "2026-11-24T09:00Z" or a name; empty: the
    /// requests that have none.
    std::vector<std::string> groups;
    Totals totals;
};

struct Report {
    ReportQuery query;
    std::vector<ReportRow> rows;  ///< days in order; names by what they spent, dearest first
    Totals totals;
    std::vector<std::string> notes;  ///< what the reader must know, for the terminal
};

/// Adds up what the query asks for. Whole days come from the roll-ups where these know all that is
/// asked: key, route, model and provider together, or one of user, tag and agent. All else, and days that
/// the range cuts, comes from the rows; where `ledger.retention_days` has taken those away, a cut day
/// counts as a whole or a note says how many requests are missing. Works on one snapshot of the
/// database. Exact to the picodollar.
[[nodiscard]] Result<Report> build_report(store::sql::Database& db, const ReportQuery& query);

/// For a terminal: aligned columns and a bar of spent against saved. `colour` adds ANSI colours.
[[nodiscard]] std::string render_table(const Report& report, bool colour);
/// One JSON object. Money three times: `spent_usd` (decimal text), `spent_pico` (integer as text)
/// and `spent_pico_usd` (integer); null when it is unknown.
[[nodiscard]] std::string render_json(const Report& report);
/// One line per group and no total; empty fields for what is unknown.
[[nodiscard]] std::string render_csv(const Report& report);

/// `leeway report`.
struct ReportOptions {
    std::string state_dir;
    Secret database = {};  ///< see database_target
    std::vector<ReportBy> by{ReportBy::kDay};
    std::vector<ReportFilter> filters;
    std::string since;  ///< as `parse_time` reads it; empty: from the beginning
    std::string until;  ///< the same; empty: until now
    ReportFormat format = ReportFormat::kTable;
    bool colour = false;
};

/// Replays what a dead gateway left, then prints the report to `out`; errors go to `err`. Returns
/// the exit status: 0, or 1 when there is no report.
[[nodiscard]] int run_report(const ReportOptions& options, std::FILE* out, std::FILE* err);

}  // namespace leeway::ledger
