#pragma once

#include <span>
#include <string>
#include <string_view>

namespace leeway::wire::gemini {

/// What is served, in this vendor's shape.
[[nodiscard]] std::string render_models(std::span<const std::string> names);
[[nodiscard]] std::string render_model(std::string_view name);

}  // namespace leeway::wire::gemini
