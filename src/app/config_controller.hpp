#pragma once

#include "app/config.hpp"
#include "app/config_model.hpp"
#include "app/snapshot.hpp"
#include "base/result.hpp"
#include "pipeline/model.hpp"
#include "pipeline/stage.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace leeway::app {

/// Reads `controller:` of a route.
void read_controller(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks);
/// Whether its models are there and can be used so.
void check_controller(ConfigSource& source, const Config& config, const RouteConfig& route,
                      const RouteMarks& marks);

/// The stage for `route`. `find` gives a model of the snapshot by its name. Errors: kConfig.
[[nodiscard]] Result<std::unique_ptr<pipeline::Stage>> make_controller_stage(
    const RouteConfig& route, const Services& services,
    const std::function<const pipeline::Model*(std::string_view)>& find);

}  // namespace leeway::app
