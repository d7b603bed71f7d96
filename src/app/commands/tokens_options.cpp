#include "app/commands/tokens_options.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {

void add_tokens(CLI::App& app, TokensOptions& tokens, Command& chosen) {
    CLI::App& command =
        *app.add_subcommand("tokens", "Count the tokens of a text, show them, compare models");
    command.footer(
        "Models: those of OpenAI exactly; Claude and Gemini as an estimate with its interval.\n"
        "Vocabularies: cl100k_base, o200k_base, o200k_harmony, or a file: GGUF, tokenizer.json,\n"
        "tekken.json. Quality: exact, calibrated, heuristic or provider.\n\n"
        "Examples:\n"
        "  leeway tokens prompt.txt\n"
        "  echo \"Hello world\" | leeway tokens --model gpt-4o --model claude-sonnet-4-5\n"
        "  leeway tokens --vocabulary ~/models/qwen3.gguf README.md --json\n"
        "  leeway tokens --request --model gpt-5 request.json\n"
        "  jq -c .text rows.jsonl | leeway tokens --vocabulary o200k_base --jsonl --ids");
    command.add_option("file", tokens.file, "Text to count; - or none: standard input")
        ->type_name("");
    command
        .add_option("--model", tokens.models,
                    "A model, or several: the first is shown [gpt-5 and others]")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("MODEL");
    command.add_option("--vocabulary", tokens.vocabulary, "Name of a vocabulary, or its file")
        ->excludes("--model")
        ->type_name("NAME|FILE");
    command
        .add_flag("--request", tokens.request,
                  "The text is a chat request: count messages, tools and images")
        ->excludes("--vocabulary");
    command.add_flag("--json", tokens.json, "Print JSON");
    command
        .add_flag("--jsonl", tokens.jsonl,
                  "Read a JSON string a line, write {\"count\": N} for each")
        ->excludes("--json")
        ->excludes("--request");
    command
        .add_option("--config", tokens.place.config,
                    "Count as this configuration says, with what its gateway has learned")
        ->type_name("FILE");
    command
        .add_option("--state", tokens.place.state,
                    "State folder with what a gateway has learned [server.state of --config]")
        ->type_name("DIR");
    command.add_flag("--ids", tokens.ids, "With --json or --jsonl: the ids of the tokens too");
    command.callback([&chosen, &tokens] { chosen = tokens; });
}

}  // namespace leeway::app
