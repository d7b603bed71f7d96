#include "app/commands/import_options.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {

void add_import(CLI::App& program, ImportOptions& options, Command& chosen) {
    using Gateway = ImportOptions::Gateway;
    CLI::App& import =
        *program.add_subcommand("import", "Make a configuration from another gateway's");
    import.footer(
        "The new configuration goes to standard output, what could not be carried over to "
        "standard\n"
        "error, each with its line, the reason and what to do. Secrets never are copied: they "
        "become\n"
        "${NAME}. docs/formats/import.md says what becomes what.\n\n"
        "Exit status: 0 done, 1 not written (or, with --strict, something was not carried over), 2 "
        "the\n"
        "file cannot be read.\n\n"
        "Examples:\n"
        "  leeway import litellm config.yaml --output leeway.yaml\n"
        "  leeway import portkey config.json --json\n"
        "  leeway check --config leeway.yaml");
    import.require_subcommand(1);
    struct Entry {
        const char* name;
        Gateway gateway;
        const char* what;
        const char* footer;
    };
    for (const Entry& entry :
         {Entry{"litellm", Gateway::kLitellm, "From the config.yaml of a LiteLLM proxy",
                "Examples:\n"
                "  leeway import litellm config.yaml > leeway.yaml\n"
                "  leeway import litellm config.yaml --output leeway.yaml --strict\n"
                "  leeway import litellm config.yaml --json | jq .not_carried"},
          Entry{"portkey", Gateway::kPortkey, "From a Portkey config (JSON)",
                "The route `portkey` stands for the config: ask for it as `model`.\n\n"
                "Examples:\n"
                "  leeway import portkey config.json > leeway.yaml\n"
                "  leeway import portkey - --json < config.json"}}) {
        CLI::App& command = *import.add_subcommand(entry.name, entry.what);
        command.footer(entry.footer);
        command.add_option("file", options.file, "The file; - for standard input")
            ->required()
            ->type_name("");
        command.add_option("--output", options.output, "Write the configuration to this new file")
            ->type_name("FILE");
        command.add_flag("--strict", options.strict,
                         "Exit status 1 when something was not carried over");
        command.add_flag("--json", options.json, "One JSON object instead of text");
        command.final_callback([&options, &chosen, gateway = entry.gateway] {
            options.gateway = gateway;
            chosen = options;
        });
    }
}

}  // namespace leeway::app
