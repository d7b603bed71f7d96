#include "app/commands/evaluate_cache_arguments.hpp"

#include "app/command_help.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

constexpr std::uint32_t kMostSeeds = 10'000;
constexpr std::uint32_t kMostLength = 10'000'000;

}  // namespace

void add_evaluate_cache(CLI::App& app, EvaluateCacheOptions& options, Command& chosen) {
    CLI::App& command =
        *command_group(app, "evaluate", "Measure a method on labelled data")
             .add_subcommand("cache", "Play the semantic cache over labelled questions");
    command.footer(
        "Each stream asks all questions of the file once, in an order of its own. A hit is wrong "
        "when\n"
        "the kept answer is not the question's. The cache learns from explored misses and audited\n"
        "hits only, as the gateway does. docs/formats/evaluate.md says what each figure is.\n\n"
        "Examples:\n"
        "  leeway evaluate cache --pairs labelled.jsonl --max-error 0.01,0.02,0.05 --json\n"
        "  leeway evaluate cache --stream intents.jsonl --max-error 0.02 --rivals\n"
        "  leeway evaluate cache --train ours.jsonl --stream test.jsonl");
    auto* const pairs = command.add_option("--pairs", options.pairs,
                                           R"(Lines {"a", "b", "same"}: what may share an answer)");
    pairs->type_name("FILE");
    command.add_option("--stream", options.stream, R"(Lines {"text", "answer"})")
        ->excludes(pairs)
        ->type_name("FILE");
    command
        .add_option("--train", options.train,
                    "Fit the pooled model on these lines of either kind [the built-in model]")
        ->allow_extra_args(false)
        ->type_name("FILE");
    command
        .add_option("--max-error", options.max_errors,
                    "Share of wrong answers among the hits that is promised [0.01]")
        ->delimiter(',')
        ->check(CLI::Range(0.0001, 0.5))
        ->type_name("SHARE");
    command
        .add_option("--audit", options.audit, "Share of hits that is verified in the end [0.05]")
        ->check(CLI::Range(0.001, 1.0))
        ->type_name("SHARE");
    command.add_option("--seeds", options.seeds, "Number of streams [40]")
        ->check(CLI::Range(1U, kMostSeeds))
        ->type_name("N");
    command.add_option("--length", options.length, "Requests of a stream [all questions]")
        ->check(CLI::Range(1U, kMostLength))
        ->type_name("N");
    command.add_flag("--rivals", options.rivals,
                     "Beside it: vCache's rule, GPTCache's default, the best fixed threshold");
    add_embedding_options(command, options.embedding);
    command
        .add_option("--config", options.place.config,
                    "Configuration that --model may name a model of [none]")
        ->type_name("FILE");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] { chosen = options; });
}

}  // namespace leeway::app
