#pragma once

#include "providers/provider.hpp"
#include "tokens/model_map.hpp"
#include "wire/canonical/codec.hpp"

#include <string_view>

namespace leeway::app {

/// What a codec must know of the model that `provider` calls `model`, which outlives it.
[[nodiscard]] inline wire::RequestTarget request_target(const providers::Provider& provider,
                                                        std::string_view model) {
    wire::RequestTarget target;
    target.model = model;
    target.quirks = provider.quirks;
    target.adaptive_thinking = tokens::find_model(model).family == tokens::ModelFamily::kClaude47;
    return target;
}

}  // namespace leeway::app
