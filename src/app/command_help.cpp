#include "app/command_help.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace leeway::app {
namespace {

/// The deepest subcommand that was recognised.
CLI::App& deepest(CLI::App& app) {
    const std::vector<CLI::App*> parsed = app.get_subcommands();
    return parsed.empty() ? app : deepest(*parsed.front());
}

std::vector<std::string> command_names(CLI::App& app) {
    std::vector<std::string> out;
    for (const CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
        out.push_back(command->get_name());
    }
    return out;
}

/// "leeway keys create" for the deepest of the recognised commands.
std::string full_name(const CLI::App& app) {
    const CLI::App* parent = app.get_parent();
    return parent == nullptr ? app.get_name() : full_name(*parent) + " " + app.get_name();
}

}  // namespace

CLI::App& command_group(CLI::App& parent, const char* name, const char* what) {
    for (CLI::App* known : parent.get_subcommands([](CLI::App*) { return true; }))
        if (known->get_name() == name) return *known;
    CLI::App& group = *parent.add_subcommand(name, what);
    group.require_subcommand(1);
    return group;
}

std::string help_of_deepest(CLI::App& app) {
    const CLI::App& command = deepest(app);
    const CLI::App* parent = command.get_parent();
    return command.help(parent == nullptr ? std::string() : full_name(*parent));
}

std::string explain_mistake(CLI::App& app, const CLI::ParseError& error) {
    CLI::App& command = deepest(app);
    const std::vector<std::string> rest = app.remaining(true);
    const std::string name = full_name(command);
    std::string text;
    if (!rest.empty()) {
        const std::string& word = rest.front();
        std::vector<std::string> known;
        const bool is_option = word.size() > 1 && word.front() == '-';
        if (is_option) {
            for (const CLI::Option* option : command.get_options()) {
                for (const std::string& long_name : option->get_lnames()) {
                    known.push_back("--" + long_name);
                }
            }
        } else {
            known = command_names(command);
        }
        const std::string asked = word.substr(0, word.find('='));
        const auto near = nearest(asked, known);
        text = fmt::format("{} '{}'{}",
                           is_option       ? "unknown option"
                           : known.empty() ? "unexpected argument"
                                           : "unknown command",
                           asked, near ? fmt::format(" (did you mean '{}'?)", *near) : "");
    } else {
        text = error.what();
    }
    return fmt::format("{}: {}\n  `{} --help` shows what there is\n", name, text, name);
}

}  // namespace leeway::app
