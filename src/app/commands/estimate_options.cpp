#include "app/commands/estimate_options.hpp"

#include <CLI/CLI.hpp>

#include <limits>

namespace leeway::app {
namespace {

using Action = EstimateOptions::Action;

void add_where(CLI::App& command, EstimateOptions& options) {
    command
        .add_option("--config", options.place.config,
                    "Configuration file [./config/leeway.yaml, else that of the built project]")
        ->type_name("FILE");
    command
        .add_option("--state", options.place.state,
                    "State folder of the ledger [server.state of the configuration]")
        ->type_name("DIR");
    command
        .add_option("--ledger", options.ledger,
                    "Lines of `leeway ledger export --jsonl` instead of the state folder")
        ->type_name("FILE");
    command.add_option("--since", options.since, "Recorded from here [the beginning]")
        ->type_name("TIME");
    command.add_option("--until", options.until, "Recorded up to here, exclusive [now]")
        ->type_name("TIME");
    command.add_option("--route", options.route, "Only recorded calls of this route [all]")
        ->type_name("NAME");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.add_flag("--markdown", options.markdown, "Markdown instead of text")
        ->excludes("--json");
}

void add_models(CLI::App& command, EstimateOptions& options) {
    command
        .add_option("--models", options.models,
                    "Models to compare [that of the request, or as recorded]")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A,B");
    command
        .add_option("--dialect", options.dialect,
                    "openai, responses, anthropic or gemini [told by the shape]")
        ->check(CLI::IsMember({"openai", "responses", "anthropic", "gemini"}))
        ->type_name("NAME");
    command
        .add_option("--prior", options.prior,
                    "Lengths of answers that nobody recorded: agent, chat, grounded, reasoned or "
                    "short [by the kind of request]")
        ->check(CLI::IsMember({"agent", "chat", "grounded", "reasoned", "short"}))
        ->type_name("NAME");
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
    command
        .add_option("--requests-per-month", options.requests_per_month,
                    "How many requests a month has [as the input says]")
        ->check(CLI::Range(std::uint64_t{1}, kMost))
        ->type_name("N");
    command
        .add_option("--max-tokens", options.max_tokens,
                    "Longest answer, reasoning included [as the input says]")
        ->check(CLI::Range(std::uint64_t{1}, kMost))
        ->type_name("N");
}

}  // namespace

void add_estimate(CLI::App& app, EstimateOptions& options, Command& chosen) {
    CLI::App& command =
        *app.add_subcommand("estimate", "What requests will cost, before they are sent");
    command.footer(
        "REQUEST is a JSON body for OpenAI (chat or Responses), Anthropic or Gemini. What a model "
        "without\n"
        "a known price costs is unknown, never 0. Lengths of answers come from the ledger, else "
        "from priors.\n\n"
        "Examples:\n"
        "  leeway estimate request.json --models gpt-4o-mini,claude-sonnet-4-5\n"
        "  leeway estimate request.json --requests-per-month 100000 --budget 500 --what-if "
        "cache=on,tier=batch\n"
        "  leeway estimate --template prompt.txt --rows rows.csv --models gpt-4o-mini\n"
        "  leeway estimate --workload workload.yaml --json\n"
        "  leeway estimate --recorded --since 7d --models gpt-5-mini\n"
        "  leeway estimate backtest --recorded\n"
        "  leeway estimate diff base.json head.json --models gpt-4o --threshold 5 --markdown");
    command.require_subcommand(0, 1);
    command.add_option("request", options.file, "A request; - is standard input")->type_name("");
    command
        .add_option("--template", options.prompt_template,
                    "A prompt with {{name}} placeholders; --rows fills it")
        ->type_name("FILE");
    command
        .add_option("--rows", options.rows,
                    "Rows for the template: .csv with a head line, or .jsonl")
        ->needs("--template")
        ->type_name("FILE");
    command.add_option("--workload", options.workload, "A workload file: docs/formats/workload.md")
        ->type_name("FILE");
    command.add_flag("--recorded", options.recorded, "The traffic that the ledger recorded");
    add_models(command, options);
    command
        .add_option("--what-if", options.what_if,
                    "Beside it, with cache=on|off, tier=standard|batch|flex|priority|fast, "
                    "region=NAME, retries=PERCENT, output=PERCENT")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("A=B");
    command.add_option("--budget", options.budget, "USD a month that it must fit into")
        ->type_name("USD");
    add_where(command, options);
    command.final_callback([&] {
        if (std::holds_alternative<std::monostate>(chosen)) chosen = options;
    });

    CLI::App& backtest =
        *command.add_subcommand("backtest", "How well recorded calls would have been foretold");
    backtest.footer(
        "Fits the first half of each model's calls in time and tests the second: how many answers "
        "lie\n"
        "within P10 to P90 (80 % is right), and how far P50 is off.\n\n"
        "Examples:\n"
        "  leeway estimate backtest calls.jsonl\n"
        "  leeway estimate backtest --recorded --since 30d --json");
    backtest
        .add_option("file", options.file,
                    "JSON lines with model, input_tokens, output_tokens, or those of an export")
        ->type_name("FILE");
    backtest.add_flag("--recorded", options.recorded, "The traffic that the ledger recorded");
    add_where(backtest, options);
    backtest.final_callback([&] {
        options.action = Action::kBacktest;
        chosen = options;
    });

    CLI::App& diff = *command.add_subcommand(
        "diff", "What a change to a prompt costs, for continuous integration");
    diff.footer(
        "BASE and HEAD are requests, workload files (.yaml) or results of `leeway estimate "
        "--json`.\n"
        "Exit status: 0 no model's mean cost of a request rises above the threshold, 1 one does "
        "or its\n"
        "price is unknown, 2 the input is bad.\n\n"
        "Examples:\n"
        "  leeway estimate diff base.json head.json --models gpt-4o,claude-sonnet-4-5\n"
        "  leeway estimate diff base.yaml head.yaml --threshold 10 --markdown > comment.md");
    diff.add_option("base", options.file, "As it is")->required()->type_name("BASE");
    diff.add_option("head", options.other, "As it will be")->required()->type_name("HEAD");
    diff.add_option("--threshold", options.threshold, "Percent that it may rise [5]")
        ->type_name("PERCENT");
    add_models(diff, options);
    add_where(diff, options);
    diff.final_callback([&] {
        options.action = Action::kDiff;
        chosen = options;
    });
}

}  // namespace leeway::app
