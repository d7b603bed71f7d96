#include "app/commands/routes_arguments.hpp"

#include "app/command_help.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

void add_config(CLI::App& command, std::string& config) {
    command
        .add_option("--config", config,
                    "Configuration with the embedding model [the bundled model, no configuration]")
        ->type_name("FILE");
}

void add_fitting(CLI::App& command, RouteFitting& fitting) {
    command.add_option("--routes", fitting.routes, "The routes file")
        ->required()
        ->type_name("FILE");
    command
        .add_option("--data", fitting.data,
                    "Labelled texts, a line each: {\"text\": …, \"route\": NAME or null}")
        ->required()
        ->type_name("FILE");
    command.add_option("--folds", fitting.folds, "Parts of the cross-validation [5]")
        ->check(CLI::Range(0, 1000))
        ->type_name("N");
    command.add_option("--seed", fitting.seed, "Of how rows are dealt to the parts [1]")
        ->type_name("N");
    command.add_flag("--thresholds-only", fitting.no_examples,
                     "Labelled texts fit weights and thresholds and do not become examples");
    add_config(command, fitting.config);
    add_embedding_options(command, fitting.embedding);
    command.add_flag("--json", fitting.json, "One JSON object instead of text");
}

void add_route(CLI::App& program, RouteOptions& options, Command& chosen) {
    CLI::App& command = *program.add_subcommand("route", "Where a text would go, and why");
    command.footer(
        "Shows which rule or which scores decided, the thresholds, the nearest examples, and the\n"
        "arguments that parsing finds for a route that has some. No model is asked for others.\n"
        "With --route of a route that has a router: what it expects of each model.\n\n"
        "Examples:\n"
        "  leeway route \"Are there flights to Athens on Friday?\" --routes routes.yaml\n"
        "  leeway route \"What is 17 * 23?\" --config config/leeway.yaml --route support\n"
        "  leeway route \"Ferry to Naxos tomorrow\" --routes routes.yaml --today 2026-05-11\n"
        "  leeway route \"And back?\" --before \"Flights to Athens on Friday?\" --json");
    command.add_option("text", options.text, "The text")->required()->type_name("");
    command.add_option("--before", options.before, "What the same person said before")
        ->type_name("TEXT");
    command
        .add_option("--routes", options.routes,
                    "The routes file [that of the configuration, if it names one]")
        ->type_name("FILE");
    command.add_option("--route", options.route, "A route of the configuration")
        ->excludes("--routes")
        ->type_name("NAME");
    command.add_option("--nearest", options.nearest, "How many examples to show [3]")
        ->check(CLI::Range(0, 100))
        ->type_name("N");
    command
        .add_option("--today", options.today,
                    "The day that dates of the text are told from [today, UTC]")
        ->type_name("YYYY-MM-DD");
    add_config(command, options.config);
    add_embedding_options(command, options.embedding);
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] { chosen = options; });
}

}  // namespace

void add_routes_commands(CLI::App& program, RoutesCommands& options, Command& chosen) {
    add_route(program, options.route, chosen);

    CLI::App& evaluate = *command_group(program, "evaluate", "Measure a method on labelled data")
                              .add_subcommand("routes", "How often a routes file is right");
    evaluate.footer(
        "Each part of the rows is decided by a file that was fitted to the other parts. With\n"
        "--folds 0 the file is measured as it stands. docs/formats/evaluate.md says what each\n"
        "figure means.\n\n"
        "Examples:\n"
        "  leeway evaluate routes --routes routes.yaml --data labelled.jsonl\n"
        "  leeway evaluate routes --routes routes.yaml --data test.jsonl --train train.jsonl "
        "--json\n"
        "  leeway evaluate routes --routes routes.yaml --data labelled.jsonl --wrong");
    add_fitting(evaluate, options.evaluate.fitting);
    evaluate
        .add_option("--train", options.evaluate.train,
                    "Fit to these rows instead, and measure on all of --data")
        ->type_name("FILE");
    evaluate.add_flag("--wrong", options.evaluate.wrong, "Show the rows that went wrong");
    evaluate.final_callback([&options, &chosen] { chosen = options.evaluate; });

    CLI::App& tune = *command_group(program, "tune", "Fit a method to labelled data")
                          .add_subcommand("routes", "Fit the thresholds of a routes file");
    tune.footer(
        "Without --write it only says what it found. The costs of the three kinds of mistakes are\n"
        "in the file (`costs:`).\n\n"
        "Examples:\n"
        "  leeway tune routes --routes routes.yaml --data labelled.jsonl\n"
        "  leeway tune routes --routes routes.yaml --data labelled.jsonl --write");
    add_fitting(tune, options.tune.fitting);
    tune.add_flag("--write", options.tune.write, "Write the result into the routes file");
    tune.final_callback([&options, &chosen] { chosen = options.tune; });

    CLI::App& import = command_group(program, "import", "Make a configuration from another one's");
    CLI::App& routes = *import.add_subcommand("routes", "A routes file from semantic-router's");
    routes.footer(
        "What could not be carried over goes to standard error, each with its place.\n\n"
        "Examples:\n"
        "  leeway import routes layer.json > routes.yaml\n"
        "  leeway import routes layer.yaml --output routes.yaml");
    routes.add_option("file", options.imported.file, "The file; - for standard input")
        ->required()
        ->type_name("");
    routes.add_option("--output", options.imported.output, "Write to this new file")
        ->type_name("FILE");
    routes.final_callback([&options, &chosen] { chosen = options.imported; });
}

}  // namespace leeway::app
