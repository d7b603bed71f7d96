#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `leeway policy`. When it is parsed, `options` is copied into `chosen`; both must live as long as `app`.
void add_policy(CLI::App& app, PolicyOptions& options, Command& chosen);

}  // namespace leeway::app
