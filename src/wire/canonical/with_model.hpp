#pragma once

#include <string>
#include <string_view>

namespace leeway::wire {

/// `body` with the value of its top-level member "model" replaced, all other bytes as they are; `body` itself where
/// it has none. `body` must be valid JSON.
[[nodiscard]] std::string with_model(std::string_view body, std::string_view model);

}  // namespace leeway::wire
