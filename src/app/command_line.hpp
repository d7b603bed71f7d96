#pragma once

#include "app/commands.hpp"
#include "app/commands/evaluate_cache_options.hpp"
#include "app/commands/evaluate_cascade_options.hpp"
#include "app/commands/evaluate_router_options.hpp"
#include "app/commands/outcomes_options.hpp"
#include "app/commands/policy_options.hpp"
#include "app/commands/replay_options.hpp"
#include "app/commands/routes_options.hpp"
#include "app/commands/tune_cascade_options.hpp"
#include "app/commands/tune_router_options.hpp"

#include <string>
#include <variant>
#include <vector>

namespace leeway::app {

/// What a command line asks for.
using Command =
    std::variant<std::monostate, ServeOptions, CheckOptions, KeysCreateOptions, KeysListOptions,
                 KeysRevokeOptions, KeysRotateOptions, ReportCommand, LedgerExportCommand,
                 ReconcileCommand, ModelsOptions, PricesOptions, ProvidersOptions, ModelHostOptions,
                 TokensOptions, BudgetsOptions, BatchesOptions, CacheOptions, EstimateOptions,
                 ImportOptions, OpenapiOptions, VersionOptions, RouteOptions, EvaluateCacheOptions,
                 EvaluateCascadeOptions, EvaluateRouterOptions, OutcomesOptions,
                 EvaluateRoutesOptions, TuneRoutesOptions, TuneCascadeOptions, TuneRouterOptions,
                 ReplayOptions, ImportRoutesOptions, PolicyOptions>;

/// A command, or (std::monostate) nothing to run: then `out` and `err` are to be printed and
/// `exit_code` returned. 0 after --help, 2 after a mistake.
struct CommandLine {
    Command command;
    int exit_code = 0;
    std::string out;
    std::string err;
};

/// Reads the arguments after the program's name. Unknown commands and options are answered with the
/// nearest known one. Touches no file.
[[nodiscard]] CommandLine parse_command_line(std::vector<std::string> arguments);

}  // namespace leeway::app
