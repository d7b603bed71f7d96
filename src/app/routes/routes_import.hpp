#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace leeway::app {

/// A routes file made of another router's.
struct ImportedRoutes {
    std::string text;  ///< of our file
    std::vector<std::string> not_carried;  ///< what, and what to do; a line each
};

/// From the JSON or YAML file of aurelio's semantic-router (RouterConfig, LayerConfig, or a list of routes). `name` is
/// the file's, for messages. Thresholds are not carried over: they were for another score. Errors: kConfig.
[[nodiscard]] Result<ImportedRoutes> import_routes(const std::string& text,
                                                   const std::string& name);

}  // namespace leeway::app
