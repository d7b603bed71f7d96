#include "app/commands/evaluate_router_arguments.hpp"

#include "app/command_help.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {

void add_router_fitting_options(CLI::App& command, RouterFittingOptions options) {
    command.add_option("--folds", options.folds, "Parts of the cross-validation [5]")
        ->check(CLI::Range(3, 100))
        ->type_name("N");
    command.add_option("--seed", options.seed, "Of parts, clusters and resamples [1]")
        ->type_name("N");
    command.add_option("--resamples", options.resamples, "Bootstrap draws for intervals [2000]")
        ->check(CLI::Range(100, 100'000))
        ->type_name("N");
    command
        .add_option("--sure", options.sure,
                    "Standard errors by which a gain must show on held-out rows to be used [2]")
        ->check(CLI::Range(0.0, 10.0))
        ->type_name("N");
}

void add_evaluate_router(CLI::App& app, EvaluateRouterOptions& options, Command& chosen) {
    CLI::App& command =
        *command_group(app, "evaluate", "Measure a method on labelled data")
             .add_subcommand("router", "What choosing a model for each query gains");
    command.footer(
        "Each part of the rows is routed by what was learned from the other parts. Told beside "
        "it,\n"
        "on the same rows: each model alone, the zero router (the best mix of single models), an\n"
        "oracle, chance at the same rates, kNN-5, a router after RouteLLM and, where the outcomes\n"
        "have log-probabilities, FrugalGPT's chains.\n"
        "docs/formats/evaluate.md says what each figure is, docs/formats/outcomes.md what a file\n"
        "looks like.\n\n"
        "Examples:\n"
        "  leeway evaluate router --outcomes outcomes.csv.gz --svg router.svg\n"
        "  leeway evaluate router --outcomes mmlu.csv --price small=0.24 --price large=24.7 "
        "--json\n"
        "  leeway evaluate router --outcomes outcomes.csv --task math --task code --folds 10");
    add_outcome_file_options(command, options.outcomes);
    add_router_fitting_options(command,
                               {options.folds, options.seed, options.resamples, options.sure});
    command
        .add_option("--config", options.config,
                    "Configuration with the embedding model [the bundled model, no configuration]")
        ->type_name("FILE");
    add_embedding_options(command, options.embedding);
    command.add_option("--svg", options.svg, "Write a picture of the curves to this file")
        ->type_name("FILE");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] { chosen = options; });
}

}  // namespace leeway::app
