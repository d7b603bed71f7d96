#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "methods/router/semantic/route_set.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// A routes file with all that is wrong in it; docs/formats/routes.md says what it holds.
struct RoutesReading {
    std::optional<router::RouteSet> set;  ///< nullopt: there is an error among the problems
    std::vector<ConfigProblem> problems;
};
[[nodiscard]] RoutesReading read_routes_text(const std::string& text, const std::string& name);

/// For callers that need only the outcome: the error's message is all errors, one per line. Errors: kConfig.
[[nodiscard]] Result<router::RouteSet> load_routes(const std::string& path);

/// A text as a scalar of our YAML files: quoted as JSON does it, which YAML reads likewise, and without what would be
/// taken for a variable ("${").
[[nodiscard]] std::string yaml_text(std::string_view text);

/// The text of a routes file with what `fitted` says instead of what it said before; all else stays byte for byte.
/// `text` was read without an error.
[[nodiscard]] std::string with_fitted(const std::string& text, const router::RouteSet& set,
                                      const router::FittedRoutes& fitted);

}  // namespace leeway::app
