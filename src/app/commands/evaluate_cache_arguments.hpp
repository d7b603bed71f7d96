#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `leeway evaluate cache`. When it is parsed, `options` is copied into `chosen`; both must live as long as
/// `app`.
void add_evaluate_cache(CLI::App& app, EvaluateCacheOptions& options, Command& chosen);

}  // namespace leeway::app
