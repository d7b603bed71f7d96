#pragma once

#include "app/snapshot.hpp"
#include "pipeline/stage.hpp"

#include <map>
#include <memory>
#include <string>

namespace leeway::app {

/// The stages that a route's `stages:` may name. To add one: write it, and add one line in
/// builtin_stages.cpp. The order of that list is not the order of a pipeline.
[[nodiscard]] std::map<std::string, std::unique_ptr<pipeline::Stage>, std::less<>>
make_builtin_stages(const Services& services);

}  // namespace leeway::app
