#pragma once

#include "app/command_line.hpp"

#include <cstdint>

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

/// Adds `leeway evaluate router`. When it is parsed, `options` is copied into `chosen`; both must live as long as
/// `app`.
void add_evaluate_router(CLI::App& app, EvaluateRouterOptions& options, Command& chosen);

/// Where the options go of whoever fits a router and measures it.
struct RouterFittingOptions {
    std::uint32_t& folds;
    std::uint32_t& seed;
    std::uint32_t& resamples;
    double& sure;
};
/// Adds --folds, --seed, --resamples and --sure. What they refer to must outlive `command`.
void add_router_fitting_options(CLI::App& command, RouterFittingOptions options);

}  // namespace leeway::app
