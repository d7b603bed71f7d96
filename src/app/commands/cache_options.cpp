#include "app/commands/cache_options.hpp"

#include <CLI/CLI.hpp>

namespace leeway::app {
namespace {

using Action = CacheOptions::Action;

CLI::App& add_action(CLI::App& cache, const char* name, const char* what, const char* footer,
                     Action action, CacheOptions& options, Command& chosen) {
    CLI::App& command = *cache.add_subcommand(name, what);
    command.footer(footer);
    command.add_option("--config", options.place.config, "Configuration file")->type_name("FILE");
    command.add_option("--state", options.place.state, "State folder [server.state]")
        ->type_name("DIR");
    command.add_flag("--json", options.json, "One JSON object instead of text");
    command.final_callback([&options, &chosen, action] {
        options.action = action;
        chosen = options;
    });
    return command;
}

}  // namespace

void add_cache(CLI::App& program, CacheOptions& options, Command& chosen) {
    CLI::App& cache =
        *program.add_subcommand("cache", "What the semantic cache has learned, and why it answers");
    cache.footer(
        "Examples:\n"
        "  leeway cache stats\n"
        "  leeway cache explain 01KB3X5W6S9Y2C8R4T7V1Q0MZN\n"
        "  leeway cache clear --tenant web");
    cache.require_subcommand(1);
    add_action(
        cache, "stats", "The evidence of each key and route, and what it allows",
        "Phases: gathering (thin evidence, nothing is served), serving, uncertified (no "
        "threshold\n"
        "keeps the promise), stopped (served answers were worse than promised), advisory (no "
        "judge).\n\n"
        "Examples:\n  leeway cache stats\n  leeway cache stats --json",
        Action::kStats, options, chosen);
    CLI::App& explain =
        add_action(cache, "explain", "Why a request was answered from the cache, or not",
                   "ID is the answer's x-leeway-id. The last 20,000 looks are kept.\n\n"
                   "Example:\n  leeway cache explain 01KB3X5W6S9Y2C8R4T7V1Q0MZN --json",
                   Action::kExplain, options, chosen);
    explain.add_option("id", options.id, "Of the request")->required()->type_name("");
    CLI::App& clear = add_action(
        cache, "clear", "Forget answers and evidence, whether the gateway runs or not",
        "A running gateway obeys within a second; else the next one does before it serves.\n"
        "With --tenant or --all the exact cache's answers go too.\n\n"
        "Examples:\n"
        "  leeway cache clear --tenant web\n"
        "  leeway cache clear --route support\n"
        "  leeway cache clear --all",
        Action::kClear, options, chosen);
    auto* all = clear.add_flag("--all", options.all, "Everything");
    auto* tenant =
        clear.add_option("--tenant", options.tenant, "Only what this key asked")->type_name("KEY");
    auto* route = clear.add_option("--route", options.route, "Only what was asked on this route")
                      ->type_name("ROUTE");
    all->excludes(tenant, route);
}

}  // namespace leeway::app
