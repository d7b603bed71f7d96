#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace leeway::app {

/// The command `name` of `parent` that only gathers others; made when it is not there yet.
[[nodiscard]] CLI::App& command_group(CLI::App& parent, const char* name, const char* what);
/// The help of the deepest command that was recognised.
[[nodiscard]] std::string help_of_deepest(CLI::App& app);
/// What is wrong with a command line, with the nearest known word, in lines for the terminal.
[[nodiscard]] std::string explain_mistake(CLI::App& app, const CLI::ParseError& error);

}  // namespace leeway::app
