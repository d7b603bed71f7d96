#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "ledger/export.hpp"
#include "ledger/reconcile.hpp"
#include "ledger/report.hpp"
#include "ledger/savings.hpp"

#include <cstdio>

namespace leeway::app {

int run_report_command(const ReportCommand& options) {
    const auto place = ledger_place_of(options.place);
    if (!place) return report_failure(place.error());
    const auto by = ledger::parse_report_groups(options.by);
    if (!by) {
        return report_failure({ErrorCode::kConfig,
                               "--by: unknown group '" + options.by + "'",
                               "`leeway report --help` lists them",
                               {},
                               {}});
    }
    ledger::ReportOptions report;
    report.state_dir = place->state_dir;
    report.database = place->database;
    report.by = *by;
    for (const auto& [name, value] : options.filters) {
        const auto dimension = ledger::parse_report_by(name);
        if (dimension) report.filters.push_back({*dimension, value});
    }
    report.since = options.since;
    report.until = options.until;
    report.format = options.json  ? ledger::ReportFormat::kJson
                    : options.csv ? ledger::ReportFormat::kCsv
                                  : ledger::ReportFormat::kTable;
    report.colour = report.format == ledger::ReportFormat::kTable && wants_colour(stdout);
    return options.savings ? ledger::run_savings(report, stdout, stderr)
                           : ledger::run_report(report, stdout, stderr);
}

int run_reconcile(const ReconcileCommand& options) {
    const auto place = ledger_place_of(options.place);
    if (!place) return report_failure(place.error());
    ledger::ReconcileOptions reconcile;
    reconcile.state_dir = place->state_dir;
    reconcile.database = place->database;
    reconcile.file = options.file;
    reconcile.provider = options.provider;
    reconcile.since = options.since;
    reconcile.until = options.until;
    reconcile.fail_above = options.fail_above;
    reconcile.json = options.json;
    return ledger::run_reconcile(reconcile, stdout, stderr);
}

int run_ledger_export(const LedgerExportCommand& options) {
    const auto place = ledger_place_of(options.place);
    if (!place) return report_failure(place.error());
    ledger::ExportOptions ledger_options;
    ledger_options.state_dir = place->state_dir;
    ledger_options.database = place->database;
    ledger_options.since = options.since;
    return ledger::run_export(ledger_options, stdout, stderr);
}

}  // namespace leeway::app
