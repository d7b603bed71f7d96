#pragma once

#include "app/config.hpp"
#include "app/config_model.hpp"
#include "app/snapshot.hpp"
#include "base/result.hpp"
#include "methods/router/predict/learned_router.hpp"
#include "pipeline/model.hpp"
#include "pipeline/stage.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace leeway::app {

/// Reads `router:` of a route.
void read_router(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks);
/// Whether its models are there, and its policy can be used for them; after `fill_paths`.
void check_router(ConfigSource& source, const Config& config, const RouteConfig& route,
                  const RouteMarks& marks);

/// The policy of a route at the spending that the route says, else its own. Errors (kConfig): it cannot be read or used; it
/// lacks a signature that the configuration trusts; it is for other models, or for vectors of another model than the configuration's (as far as that can be told: of a model
/// that runs here).
[[nodiscard]] Result<std::shared_ptr<const router::LearnedRouter>> load_router(
    const Config& config, const RouteConfig& route);

/// The stage for `route`. `find` gives a model of the snapshot by its name. Errors: kConfig.
[[nodiscard]] Result<std::unique_ptr<pipeline::Stage>> make_router_stage(
    const Config& config, const RouteConfig& route, const Services& services,
    const std::function<const pipeline::Model*(std::string_view)>& find);

}  // namespace leeway::app
