#pragma once

#include "app/config_reader.hpp"
#include "methods/router/semantic/route_set.hpp"

namespace leeway::app {

/// Reads `arguments:` and `arguments_model:` of a route, and checks the placeholders of its answer; docs/formats/routes.md
/// says what they hold.
void read_arguments(ConfigSource& source, Section& route, router::RouteAction& out);

}  // namespace leeway::app
