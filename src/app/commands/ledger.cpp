#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/terminal.hpp"
#include "base/money.hpp"
#include "ledger/commitments.hpp"
#include "ledger/cost_differences.hpp"
#include "ledger/export.hpp"
#include "ledger/reconcile.hpp"
#include "ledger/report.hpp"
#include "ledger/savings.hpp"

#include <cstdio>
#include <vector>

namespace leeway::app {
namespace {

int show_commitments(const ReportCommand& options, const ledger::ReportOptions& report) {
    if (!options.filters.empty() || !options.since.empty()) {
        return report_failure({ErrorCode::kConfig,
                               "--commitments has windows of its own",
                               "leave out --since and the filters; --until asks for another moment",
                               {},
                               {}});
    }
    const auto path = config_path_of(options.place);
    if (!path) return report_failure(path.error());
    const auto config = load_config(*path);
    if (!config) return report_failure(config.error());
    std::vector<prices::Commitment> commitments;
    for (const ProviderConfig& provider : config->providers) {
        commitments.insert(commitments.end(), provider.commitments.begin(),
                           provider.commitments.end());
    }
    return ledger::run_commitments(report, commitments, stdout, stderr);
}

int show_cost_differences(const ReportCommand& options, const ledger::ReportOptions& report) {
    // A percentage has the form of an amount.
    constexpr std::int64_t kPerBasisPoint = 10'000'000'000;
    const auto percent = parse_usd(options.tolerance);
    if (!percent || percent->value() < 0 || percent->value() % kPerBasisPoint != 0) {
        return report_failure({ErrorCode::kConfig,
                               "--tolerance: '" + options.tolerance + "' is no percentage",
                               "write it with at most two decimals, such as 0.5",
                               {},
                               {}});
    }
    return ledger::run_cost_differences(report, percent->value() / kPerBasisPoint, options.worst,
                                        stdout, stderr);
}

}  // namespace

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
    if (options.savings) return ledger::run_savings(report, stdout, stderr);
    if (options.commitments) return show_commitments(options, report);
    if (options.cost_differences) return show_cost_differences(options, report);
    return ledger::run_report(report, stdout, stderr);
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
