#pragma once

#include "app/commands/routes_options.hpp"
#include "app/config.hpp"

namespace leeway::app {

/// Tells what the router of `route`, which has one, expects of each model for a text, and which it would take. Nothing is
/// known of the request but its text, so only models that are switched off are left out.
int explain_router(const Config& config, const RouteConfig& route, const RouteOptions& options,
                   const std::string& text);

}  // namespace leeway::app
