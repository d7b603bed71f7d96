#include "app/commands/outcomes_arguments.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

void add_place(CLI::App& command, OutcomesOptions& options) {
    command.add_option("--config", options.place.config, "Configuration file")->type_name("FILE");
    command.add_option("--state", options.place.state, "State folder [server.state]")
        ->type_name("DIR");
    command.add_flag("--json", options.json, "One JSON object instead of text");
}

}  // namespace

void add_outcomes(CLI::App& app, OutcomesOptions& options, Command& chosen) {
    CLI::App& group =
        *app.add_subcommand("outcomes", "What models did with queries: what routers learn from");
    group.footer(
        "Examples:\n"
        "  leeway outcomes import outcomes.csv.gz\n"
        "  leeway outcomes stats --json\n"
        "  leeway outcomes feedback --tenant web\n"
        "  leeway outcomes erase --tenant web");
    group.require_subcommand(1);
    CLI::App& import = *group.add_subcommand("import", "Put a file's outcomes into the store");
    import.footer(
        "The store is outcomes.db in the state folder. Texts are not kept, only their SHA-256 and, "
        "with\n"
        "--embed, their vectors. Importing a file again replaces what came from it.\n"
        "docs/formats/outcomes.md says what a file looks like.\n\n"
        "Examples:\n"
        "  leeway outcomes import outcomes.csv.gz --embed\n"
        "  leeway outcomes import routerbench.csv --task mmlu --state /var/lib/leeway\n"
        "  leeway outcomes import lines.jsonl --price small=0.2 --price large=0.9");
    add_outcome_file_options(import, options.outcomes, "file");
    import.add_flag("--embed", options.embed, "Compute and keep the queries' vectors");
    add_embedding_options(import, options.embedding);
    add_place(import, options);
    import.final_callback([&options, &chosen] {
        options.action = OutcomesOptions::Action::kImport;
        chosen = options;
    });
    CLI::App& stats = *group.add_subcommand("stats", "What is in the store");
    stats.footer("Examples:\n  leeway outcomes stats\n  leeway outcomes stats --json");
    add_place(stats, options);
    stats.final_callback([&options, &chosen] {
        options.action = OutcomesOptions::Action::kStats;
        chosen = options;
    });
    const auto add_tenant = [&options](CLI::App& command, const char* what) {
        return command
            .add_option_function<std::string>(
                "--tenant", [&options](const std::string& key) { options.tenant = key; }, what)
            ->type_name("KEY");
    };
    CLI::App& feedback =
        *group.add_subcommand("feedback", "What callers said of answers, a JSON object a line");
    feedback.footer(
        "Oldest first. Texts are there where the configuration says `outcomes: {texts: on}`.\n\n"
        "Examples:\n  leeway outcomes feedback\n  leeway outcomes feedback --tenant web");
    add_tenant(feedback, "Only what this key said");
    add_place(feedback, options);
    feedback.final_callback([&options, &chosen] {
        options.action = OutcomesOptions::Action::kFeedback;
        chosen = options;
    });
    CLI::App& erase = *group.add_subcommand("erase", "Forget all that came from a key");
    erase.footer(
        "Its queries, vectors, answers, outcomes and feedback are gone, also from the file. A "
        "gateway may run.\n\n"
        "Examples:\n  leeway outcomes erase --tenant web");
    add_tenant(erase, "The key")->required();
    add_place(erase, options);
    erase.final_callback([&options, &chosen] {
        options.action = OutcomesOptions::Action::kErase;
        chosen = options;
    });
}

}  // namespace leeway::app
