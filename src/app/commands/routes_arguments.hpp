#pragma once

#include "app/command_line.hpp"
#include "app/commands/routes_options.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `leeway route`, `leeway evaluate routes`, `leeway tune routes` and `leeway import routes`. The options outlive `program`.
struct RoutesCommands {
    RouteOptions route;
    EvaluateRoutesOptions evaluate;
    TuneRoutesOptions tune;
    ImportRoutesOptions imported;
};
void add_routes_commands(CLI::App& program, RoutesCommands& options, Command& chosen);

}  // namespace leeway::app
