#pragma once

#include "app/command_line.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `tokens` to the commands of the program. When it is parsed, `tokens` is filled and copied to
/// `chosen`. Both outlive `program`.
void add_tokens(CLI::App& program, TokensOptions& tokens, Command& chosen);

}  // namespace leeway::app
