#include "app/commands/tune_router_arguments.hpp"

#include "app/command_help.hpp"
#include "app/commands/evaluate_router_arguments.hpp"
#include "app/commands/policy_signing.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

constexpr double kMostSpending = 1e15;

void add_spending(CLI::App& command, TuneRouterOptions& options) {
    auto* const budget =
        command
            .add_option("--budget", options.budget_usd, "What a request may cost in the mean, USD")
            ->check(CLI::Range(1e-12, kMostSpending))
            ->type_name("USD_PER_REQUEST");
    command.add_option("--lambda", options.lambda, "Or the quality (0 to 1) that a USD must buy")
        ->check(CLI::Range(0.0, kMostSpending))
        ->excludes(budget)
        ->type_name("QUALITY_PER_USD");
}

void add_models(CLI::App& command, TuneRouterOptions& options) {
    command
        .add_option("--models", options.models, "Models to choose among, as in the outcomes [all]")
        ->delimiter(',')
        ->type_name("A,B,…");
    command
        .add_option("--as", options.as, "What the gateway's configuration calls them [the same]")
        ->delimiter(',')
        ->type_name("A,B,…");
}

}  // namespace

void add_tune_router(CLI::App& app, TuneRouterOptions& options, Command& chosen) {
    CLI::App& command = *command_group(app, "tune", "Fit a method to labelled data")
                             .add_subcommand("router", "Which model is worth its price for what");
    command.footer(
        "Learns from outcomes what quality and cost to expect of each model, and where that is\n"
        "surely better than the best single models at the same spending. What shows it is\n"
        "measured on parts of the rows that took no part in fitting. Where it does not show, the\n"
        "answer is \"not enough evidence\" (exit status 3), and the policy keeps to one model.\n"
        "A route uses it by `router: {policy: FILE, models: [A, B]}` (docs/formats/router.md).\n\n"
        "Examples:\n"
        "  leeway tune router --outcomes outcomes.csv.gz --models gpt-4o-mini,gpt-4o \\\n"
        "      --budget 0.001 --output policies/support.router\n"
        "  leeway tune router --outcomes mmlu.csv --price small=0.24 --price large=24.7 \\\n"
        "      --lambda 50 --json\n"
        "  leeway tune router --state /var/lib/leeway --config config/leeway.yaml --budget 0.001 "
        "\\\n"
        "      --output policies/support.router");
    add_outcome_file_options(command, options.outcomes);
    CLI::Option* const file = command.get_option("--outcomes")->required(false);
    CLI::Option* const state = command
                                   .add_option("--state", options.state,
                                               "Instead of a file: the outcomes of a gateway's "
                                               "state folder")
                                   ->excludes(file)
                                   ->type_name("DIR");
    command
        .add_option("--key", options.tenant,
                    "With --state: outcomes of the key of this name [imported ones]")
        ->needs(state)
        ->type_name("NAME");
    add_models(command, options);
    add_spending(command, options);
    add_router_fitting_options(command,
                               {options.folds, options.seed, options.resamples, options.sure});
    command
        .add_option("--config", options.config,
                    "Configuration with the embedding model [the bundled model, no configuration]")
        ->type_name("FILE");
    add_embedding_options(command, options.embedding);
    command.add_option("--output", options.output, "Write the policy to this file")
        ->type_name("FILE");
    add_sign_option(command, options.sign);
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] {
        if (options.outcomes.file.empty() && options.state.empty())
            throw CLI::RequiredError("--outcomes or --state");
        if (!options.budget_usd && !options.lambda)
            throw CLI::RequiredError("--budget or --lambda");
        if (!options.as.empty() && options.as.size() != options.models.size())
            throw CLI::ValidationError("--as", "as many names as --models has");
        chosen = options;
    });
}

}  // namespace leeway::app
