#include "app/commands/evaluate_cascade_arguments.hpp"

#include "app/command_help.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

constexpr std::uint32_t kMostLabels = 1'000'000;
constexpr std::uint32_t kMostTimes = 100'000;

void add_certificates(CLI::App& command, EvaluateCascadeOptions& options) {
    command
        .add_option("--certify", options.certify,
                    "Certify answers of the first model against the second; \"all\": each pair")
        ->delimiter(',')
        ->expected(1, 2)
        ->type_name("WEAK,STRONG");
    command
        .add_option("--alpha", options.alphas,
                    "Share of requests that may be harmed; several: each [0.03]")
        ->delimiter(',')
        ->check(CLI::Range(0.0001, 0.5))
        ->type_name("SHARE");
    command.add_option("--delta", options.delta, "Chance that a certificate is wrong [0.1]")
        ->check(CLI::Range(0.0001, 0.5))
        ->type_name("SHARE");
    command.add_option("--resplits", options.resplits, "Certificates that are made [1000]")
        ->check(CLI::Range(1U, kMostTimes))
        ->type_name("N");
    command
        .add_option("--drift", options.drift,
                    "With --certify: traffic of the first task, then of the second")
        ->delimiter(',')
        ->expected(2)
        ->type_name("TASK,TASK");
    command
        .add_option("--audit", options.audit,
                    "With --drift: share of weak answers that are verified [0.1]")
        ->check(CLI::Range(0.001, 1.0))
        ->type_name("SHARE");
}

}  // namespace

void add_evaluate_cascade(CLI::App& app, EvaluateCascadeOptions& options, Command& chosen) {
    CLI::App& command =
        *command_group(app, "evaluate", "Measure a method on labelled data")
             .add_subcommand("cascade",
                             "Cheap models first: quality, certificates, budgets on outcomes");
    command.footer(
        "Each split fits on --labels rows and measures on all others: gains over the zero router "
        "at\n"
        "20 % and 50 % of the dearest model's cost. --certify makes certificates \"at most alpha "
        "of\n"
        "the requests are harmed\" and counts how often they are wrong. docs/formats/evaluate.md "
        "says\n"
        "what each figure is.\n\n"
        "Examples:\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz --task mmlu --labels 50,100,400 "
        "--json\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz --task mmlu --svg mmlu.svg\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz --pace\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz --task mmlu \\\n"
        "      --certify gpt-4o-mini,gpt-4o --alpha 0.01,0.03,0.05 --labels 100,300,600\n"
        "  leeway evaluate cascade --outcomes outcomes.csv.gz --certify gpt-4o-mini,gpt-4o \\\n"
        "      --drift mmlu,triviaqa");
    add_outcome_file_options(command, options.outcomes);
    command
        .add_option("--labels", options.labels,
                    "Labelled rows that fit; several: each [400; 600 with --certify]")
        ->delimiter(',')
        ->check(CLI::Range(1U, kMostLabels))
        ->type_name("N");
    command.add_option("--splits", options.splits, "Random splits [10]")
        ->check(CLI::Range(1U, kMostTimes))
        ->type_name("N");
    command.add_option("--seed", options.seed, "Of all that is drawn by chance [1]")
        ->type_name("N");
    auto* const pool = command.add_flag(
        "--pool", options.pool,
        "Draw the curves' slopes to the labels of the other tasks, as many of each");
    command.add_flag("--isotonic", options.isotonic, "Isotonic curves instead of logistic ones")
        ->excludes(pool);
    command.add_flag("--no-rivals", options.no_rivals,
                     "Without naive pairs, FrugalGPT's optimiser and the random mix");
    add_certificates(command, options);
    command
        .add_option("--svg", options.svg,
                    "Write a picture of one task's cost and quality to this file")
        ->type_name("FILE");
    command.add_flag("--pace", options.pace,
                     "Budgets instead: realised against target cost on replayed streams");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] { chosen = options; });
}

}  // namespace leeway::app
