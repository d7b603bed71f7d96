#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `import` and its subcommands to the program's. When one is parsed, `options` is filled and
/// copied to `chosen`. Both outlive `program`.
void add_import(CLI::App& program, ImportOptions& options, Command& chosen);

}  // namespace leeway::app
