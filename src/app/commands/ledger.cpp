#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "ledger/export.hpp"
#include "ledger/report.hpp"

#include <cstdio>

namespace leeway::app {

int run_report_command(const ReportCommand& options) {
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    const auto by = ledger::parse_report_by(options.by);
    if (!by) {
        return report_failure({ErrorCode::kConfig,
                               "--by: unknown group '" + options.by + "'",
                               "write day, key, route or model",
                               {},
                               {}});
    }
    ledger::ReportOptions report;
    report.state_dir = *state;
    report.by = *by;
    report.since = options.since;
    report.until = options.until;
    report.format = options.json  ? ledger::ReportFormat::kJson
                    : options.csv ? ledger::ReportFormat::kCsv
                                  : ledger::ReportFormat::kTable;
    report.colour = report.format == ledger::ReportFormat::kTable && wants_colour(stdout);
    return ledger::run_report(report, stdout, stderr);
}

int run_ledger_export(const LedgerExportCommand& options) {
    const auto state = state_folder_of(options.place);
    if (!state) return report_failure(state.error());
    ledger::ExportOptions ledger_options;
    ledger_options.state_dir = *state;
    ledger_options.since = options.since;
    return ledger::run_export(ledger_options, stdout, stderr);
}

}  // namespace leeway::app
