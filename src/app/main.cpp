#include "app/command_line.hpp"

#include <cstdio>
#include <string>
#include <variant>
#include <vector>

namespace {

struct Runner {
    int operator()(std::monostate /*nothing*/) const { return 0; }
    int operator()(const leeway::app::ServeOptions& o) const { return run_serve(o); }
    int operator()(const leeway::app::CheckOptions& o) const { return run_check(o); }
    int operator()(const leeway::app::KeysCreateOptions& o) const { return run_keys_create(o); }
    int operator()(const leeway::app::KeysListOptions& o) const { return run_keys_list(o); }
    int operator()(const leeway::app::KeysRevokeOptions& o) const { return run_keys_revoke(o); }
    int operator()(const leeway::app::KeysRotateOptions& o) const { return run_keys_rotate(o); }
    int operator()(const leeway::app::ReportCommand& o) const { return run_report_command(o); }
    int operator()(const leeway::app::LedgerExportCommand& o) const { return run_ledger_export(o); }
    int operator()(const leeway::app::ReconcileCommand& o) const { return run_reconcile(o); }
    int operator()(const leeway::app::ModelsOptions& o) const { return run_models(o); }
    int operator()(const leeway::app::PricesOptions& o) const { return run_prices(o); }
    int operator()(const leeway::app::ProvidersOptions& o) const { return run_providers(o); }
    int operator()(const leeway::app::ModelHostOptions& o) const { return run_model_host(o); }
    int operator()(const leeway::app::TokensOptions& o) const { return run_tokens(o); }
    int operator()(const leeway::app::BudgetsOptions& o) const { return run_budgets(o); }
    int operator()(const leeway::app::BatchesOptions& o) const { return run_batches(o); }
    int operator()(const leeway::app::CacheOptions& o) const { return run_cache(o); }
    int operator()(const leeway::app::EstimateOptions& o) const { return run_estimate(o); }
    int operator()(const leeway::app::EvaluateCacheOptions& o) const {
        return run_evaluate_cache(o);
    }
    int operator()(const leeway::app::EvaluateCascadeOptions& o) const {
        return run_evaluate_cascade(o);
    }
    int operator()(const leeway::app::EvaluateRouterOptions& o) const {
        return run_evaluate_router(o);
    }
    int operator()(const leeway::app::OutcomesOptions& o) const { return run_outcomes(o); }
    int operator()(const leeway::app::ImportOptions& o) const { return run_import(o); }
    int operator()(const leeway::app::OpenapiOptions& o) const { return run_openapi(o); }
    int operator()(const leeway::app::VersionOptions& o) const { return run_version(o); }
    int operator()(const leeway::app::RouteOptions& o) const { return run_route(o); }
    int operator()(const leeway::app::EvaluateRoutesOptions& o) const {
        return run_evaluate_routes(o);
    }
    int operator()(const leeway::app::TuneRoutesOptions& o) const { return run_tune_routes(o); }
    int operator()(const leeway::app::TuneCascadeOptions& o) const { return run_tune_cascade(o); }
    int operator()(const leeway::app::TuneRouterOptions& o) const { return run_tune_router(o); }
    int operator()(const leeway::app::ReplayOptions& o) const { return run_replay(o); }
    int operator()(const leeway::app::PolicyOptions& o) const { return run_policy(o); }
    int operator()(const leeway::app::ImportRoutesOptions& o) const { return run_import_routes(o); }
};

}  // namespace

int main(int argc, char** argv) {
    const leeway::app::CommandLine line =
        leeway::app::parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
    if (std::holds_alternative<std::monostate>(line.command)) {
        std::fputs(line.out.c_str(), stdout);
        std::fputs(line.err.c_str(), stderr);
        return line.exit_code;
    }
    return std::visit(Runner{}, line.command);
}
