#include "app/commands/tune_cascade_arguments.hpp"

#include "app/command_help.hpp"
#include "app/commands/policy_signing.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {

void add_tune_cascade(CLI::App& app, TuneCascadeOptions& options, Command& chosen) {
    CLI::App& command = *command_group(app, "tune", "Fit a method to labelled data")
                             .add_subcommand("cascade",
                                             "From which confidence on a cheap model's "
                                             "answers may be taken");
    command.footer(
        "Finds the laxest threshold for which the outcomes show that at most --max-harm of the\n"
        "requests get a wrong answer where the strong model is right. Where they do not show it\n"
        "for any, the answer is \"not enough evidence\" (exit status 3), and the policy keeps to\n"
        "the strong model. A route uses it by `cascade: {models: [A, B], policy: FILE}`.\n\n"
        "Examples:\n"
        "  leeway tune cascade --outcomes outcomes.csv.gz --models gpt-4o-mini,gpt-4o\n"
        "  leeway tune cascade --outcomes state/outcomes.db --task support --models "
        "gpt-4o-mini,gpt-4o\n"
        "  leeway tune cascade --outcomes outcomes.csv.gz --task mmlu --models gpt-4o-mini,gpt-4o "
        "\\\n"
        "      --max-harm 0.03 --confidence 0.9 --output policies/support.json");
    add_outcome_file_options(command, options.outcomes);
    command
        .add_option("--models", options.models,
                    "The cheap model and the strong one, as in the outcomes")
        ->delimiter(',')
        ->expected(2)
        ->required()
        ->type_name("WEAK,STRONG");
    command
        .add_option("--as", options.as, "What the gateway's configuration calls them [the same]")
        ->delimiter(',')
        ->expected(2)
        ->type_name("WEAK,STRONG");
    command
        .add_option("--max-harm", options.max_harm, "Share of requests that may be harmed [0.03]")
        ->check(CLI::Range(0.0001, 0.5))
        ->type_name("SHARE");
    command.add_option("--confidence", options.confidence, "With which that is to be sure [0.9]")
        ->check(CLI::Range(0.5, 0.9999))
        ->type_name("SHARE");
    command.add_option("--output", options.output, "Write the policy to this file")
        ->type_name("FILE");
    add_sign_option(command, options.sign);
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen] { chosen = options; });
}

}  // namespace leeway::app
