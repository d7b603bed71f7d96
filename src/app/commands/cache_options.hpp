#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `cache` to the commands of the program. When it is parsed, `options` is filled and copied to `chosen`. Both
/// outlive `program`.
void add_cache(CLI::App& program, CacheOptions& options, Command& chosen);

}  // namespace leeway::app
