#include "app/commands/replay_arguments.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

constexpr double kMostSpending = 1e15;

void add_router_options(CLI::App& command, ReplayOptions& options) {
    auto* const budget =
        command
            .add_option("--budget", options.budget_usd,
                        "Of a router: what a request may cost in the mean [as it was tuned for]")
            ->check(CLI::Range(1e-12, kMostSpending))
            ->type_name("USD_PER_REQUEST");
    command
        .add_option("--lambda", options.lambda,
                    "Of a router: instead, the quality (0 to 1) that a USD must buy")
        ->check(CLI::Range(0.0, kMostSpending))
        ->excludes(budget)
        ->type_name("QUALITY_PER_USD");
    command
        .add_option("--reference", options.reference,
                    "Of a router: the model that would answer without it [the dearest]")
        ->type_name("MODEL");
    add_embedding_options(command, options.embedding);
}

}  // namespace

void add_replay(CLI::App& app, ReplayOptions& options, Command& chosen) {
    CLI::App& command = *app.add_subcommand(
        "replay", "What a policy would have made of recorded requests: money and quality");
    command.footer(
        "Each request goes through the gateway's own stage. --ledger replays what this gateway\n"
        "answered: the calls that it made tell the money. --file replays outcomes, which tell the\n"
        "quality, too; what a model did not answer is estimated (docs/formats/replay.md).\n"
        "A router needs vectors: of a file they are computed, of a ledger those of a route with\n"
        "`outcomes: embed` are read.\n\n"
        "Examples:\n"
        "  leeway replay --file outcomes.csv.gz --task mmlu --policy policies/support.json\n"
        "  leeway replay --file outcomes.csv.gz --policy policies/support.json --svg support.svg\n"
        "  leeway replay --file newer.csv --policy policies/support.router --budget 0.001\n"
        "  leeway replay --ledger --route support --since 7d --policy policies/stricter.json\n"
        "  leeway replay --ledger --state /var/lib/leeway --policy policies/support.json --json");
    command
        .add_option("--policy", options.policy,
                    "The policy: a file of leeway tune cascade or router")
        ->required()
        ->type_name("FILE");
    add_outcome_file_options(command, options.outcomes, "--file");
    CLI::Option& file = *command.get_option("--file")->required(false);
    command.add_flag("--ledger", options.ledger, "The requests of this gateway's ledger")
        ->excludes(&file);
    command
        .add_option("--config", options.place.config,
                    "Configuration: of the ledger, or with the embedding model")
        ->type_name("FILE");
    command
        .add_option("--state", options.place.state, "With --ledger: state folder [server.state]")
        ->type_name("DIR");
    command.add_option("--route", options.route, "With --ledger: only requests of this route")
        ->type_name("ROUTE");
    command
        .add_option("--since", options.since,
                    "With --ledger: only requests from then on (7d, 2026-11-01, …)")
        ->type_name("TIME");
    command.add_option("--until", options.until, "With --ledger: only requests before that")
        ->type_name("TIME");
    command
        .add_option("--models", options.models,
                    "What the recording calls the policy's models [the same]")
        ->delimiter(',')
        ->type_name("A,B,…");
    add_router_options(command, options);
    command.add_option("--resamples", options.resamples, "Bootstrap draws for intervals [2000]")
        ->check(CLI::Range(100, 100'000))
        ->type_name("N");
    command.add_option("--seed", options.seed, "Of these draws [1]")->type_name("N");
    command.add_option("--svg", options.svg, "Write a picture of cost and quality to this file")
        ->type_name("FILE");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen, &command] {
        if (!options.ledger && options.outcomes.file.empty())
            throw CLI::RequiredError("--file FILE or --ledger");
        const bool of_ledger = !options.route.empty() || !options.since.empty() ||
                               !options.until.empty() || command.count("--state") > 0;
        if (!options.ledger && of_ledger)
            throw CLI::ValidationError("--route, --since, --until and --state go with --ledger");
        if (options.ledger && !options.embedding.model.empty())
            throw CLI::ValidationError("--model goes with --file: a ledger's vectors are there");
        chosen = options;
    });
}

}  // namespace leeway::app
