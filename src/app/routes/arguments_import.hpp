#pragma once

#include <yaml-cpp/yaml.h>

#include <string>
#include <utility>
#include <vector>

namespace leeway::app {

/// The arguments of a route made of another router's function schema.
struct ImportedArguments {
    std::string text;  ///< `arguments:` of our file, indented for a route; empty: there are none
    std::vector<std::pair<YAML::Node, std::string>> not_carried;  ///< where, and what
};

/// From what semantic-router writes of a function: its own form, with a Python signature ("(city: str, days: int = 3) -> str"),
/// or that of OpenAI's tools, with a JSON schema. Keywords of the schema that we do not know are not carried over.
[[nodiscard]] ImportedArguments import_arguments(const YAML::Node& schema);

}  // namespace leeway::app
