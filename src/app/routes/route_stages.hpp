#pragma once

#include "app/config.hpp"
#include "app/config_model.hpp"
#include "app/routes/route_tables.hpp"
#include "base/result.hpp"
#include "models/embedding.hpp"
#include "pipeline/model.hpp"
#include "pipeline/stage.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace leeway::app {

/// Whether a stage decides by a routes file: then each route of the gateway has one of its own.
[[nodiscard]] bool is_route_stage(std::string_view stage) noexcept;

/// The stage of this name for `route`. `find` gives a model of the snapshot by its name. Errors: kConfig.
[[nodiscard]] Result<std::unique_ptr<pipeline::Stage>> make_route_stage(
    std::string_view stage, const RouteConfig& route, RouteTables& tables,
    models::Embedder& embedder, Duration limit,
    const std::function<const pipeline::Model*(std::string_view)>& find);

/// Reads `semantic_routes:` and `guard:` of a route.
void read_route_stages(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks);
/// Whether their files can be read, and name models that there are; after `fill_paths`.
void check_route_stages(ConfigSource& source, const Config& config, const RouteConfig& route,
                        const RouteMarks& marks);

}  // namespace leeway::app
