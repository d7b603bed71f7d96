#pragma once

#include "app/config.hpp"

#include <string>
#include <vector>

namespace leeway::app {

/// Names of the settings ("server.listen", "cache.disk") that differ between what runs and `next` and
/// that a running gateway cannot change: they take effect at the next start. All others do at once.
[[nodiscard]] std::vector<std::string> changes_for_next_start(const Config& running,
                                                              const Config& next);

}  // namespace leeway::app
