#pragma once

#include "methods/cascade/cascade_file.hpp"
#include "methods/router/predict/router_file.hpp"

#include <string>

namespace leeway::app {

/// What a policy says, in lines for people.
[[nodiscard]] std::string policy_text(const cascade::CascadeFile& file);
[[nodiscard]] std::string policy_text(const router::RouterFile& file);

}  // namespace leeway::app
