#pragma once

#include "app/config.hpp"
#include "app/config_model.hpp"
#include "base/result.hpp"
#include "methods/cascade/cascade_file.hpp"

namespace leeway::app {

/// Reads `cascade:` of a route.
void read_cascade(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks);
/// Whether its models are there and can be used so.
void check_cascade(ConfigSource& source, const Config& config, const RouteConfig& route,
                   const RouteMarks& marks);

/// The file that `policy` names; without one what certifies itself begins with. Errors (kConfig): it cannot be read or used; it lacks a signature that the configuration
/// trusts; it is for other models; it promises less than the route wants.
[[nodiscard]] Result<cascade::CascadeFile> load_cascade(const Config& config,
                                                        const CascadeConfig& cascade);

}  // namespace leeway::app
