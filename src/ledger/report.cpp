#include "ledger/report.hpp"

#include "base/clock.hpp"
#include "ledger/reader.hpp"
#include "ledger/report_filter.hpp"
#include "ledger/report_parts.hpp"
#include "ledger/report_scan.hpp"
#include "ledger/schema.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sql::Transaction;

Result<std::string> report_text(const ReportOptions& options, std::FILE* err) {
    replay_for_reader(options.state_dir, options.database, err);
    auto db = open_or_empty(options.state_dir, options.database);
    if (!db) return fail(std::move(db.error()));
    ReportQuery query;
    query.by = options.by;
    query.filters = options.filters;
    if (auto read = read_times(options, unix_now_us(), query); !read) return fail(read.error());
    const auto report = build_report(*db, query);
    if (!report) return fail(report.error());
    for (const std::string& note : report->notes) fmt::print(err, "note: {}\n", note);
    switch (options.format) {
        case ReportFormat::kTable: return render_table(*report, options.colour);
        case ReportFormat::kJson: return render_json(*report);
        case ReportFormat::kCsv: return render_csv(*report);
    }
    return std::string();
}

}  // namespace

std::string_view to_string(ReportBy by) noexcept {
    return kReportByNames[static_cast<std::size_t>(by)];
}

std::optional<ReportBy> parse_report_by(std::string_view text) noexcept {
    const auto found = std::find(kReportByNames.begin(), kReportByNames.end(), text);
    if (found == kReportByNames.end()) return std::nullopt;
    return static_cast<ReportBy>(found - kReportByNames.begin());
}

std::optional<std::vector<ReportBy>> parse_report_groups(std::string_view text) {
    const std::size_t comma = text.find(',');
    const auto first = parse_report_by(text.substr(0, comma));
    if (!first) return std::nullopt;
    if (comma == std::string_view::npos) return std::vector{*first};
    const auto second = parse_report_by(text.substr(comma + 1));
    if (!second || *second == *first) return std::nullopt;
    return std::vector{*first, *second};
}

Result<Report> build_report(Database& db, const ReportQuery& query) {
    auto snapshot = Transaction::begin_read(db);
    if (!snapshot) return fail(std::move(snapshot.error()));
    Report report;
    report.query = query;
    ReportScan scan(db, report.query);
    if (auto done = scan.run(); !done) return fail(std::move(done.error()));
    report.totals = scan.total();
    report.notes = scan.take_notes();
    const auto in_time = [](ReportBy by) {
        return by == ReportBy::kDay || by == ReportBy::kHour;
    };
    // Times in their order, names by what they spent.
    std::map<std::int64_t, PicoUsdSum> spent_by_first;
    for (const auto& [group, totals] : scan.sums()) spent_by_first[group[0]].add(totals.spent);
    struct Sortable {
        ReportScan::Group group;
        ReportRow row;
    };
    std::vector<Sortable> sorted;
    for (const auto& [group, totals] : scan.sums()) {
        ReportRow row{{}, totals};
        for (std::size_t i = 0; i < query.by.size(); ++i) {
            row.groups.push_back(scan.text(query.by[i], group[i]));
        }
        sorted.push_back({group, std::move(row)});
    }
    std::sort(sorted.begin(), sorted.end(), [&](const Sortable& a, const Sortable& b) {
        if (a.group[0] != b.group[0]) {
            if (in_time(query.by[0])) return a.group[0] < b.group[0];
            const PicoUsdSum spent_a = spent_by_first.at(a.group[0]);
            const PicoUsdSum spent_b = spent_by_first.at(b.group[0]);
            if (spent_a != spent_b) return spent_a > spent_b;
            return a.row.groups[0] < b.row.groups[0];
        }
        if (query.by.size() < 2 || in_time(query.by[1])) return a.group[1] < b.group[1];
        if (a.row.totals.spent != b.row.totals.spent)
            return a.row.totals.spent > b.row.totals.spent;
        return a.row.groups[1] < b.row.groups[1];
    });
    for (Sortable& entry : sorted) report.rows.push_back(std::move(entry.row));
    return report;
}

int run_report(const ReportOptions& options, std::FILE* out, std::FILE* err) {
    return write_report(report_text(options, err), out, err);
}

}  // namespace leeway::ledger
