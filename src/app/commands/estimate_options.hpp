#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace leeway::app {

/// Adds `leeway estimate` with its subcommands. When it is parsed, `options` is copied into `chosen`; both
/// must live as long as `app`.
void add_estimate(CLI::App& app, EstimateOptions& options, Command& chosen);

}  // namespace leeway::app
