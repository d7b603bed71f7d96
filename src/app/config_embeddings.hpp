#pragma once

#include "app/config.hpp"

#include <string_view>

namespace leeway::app {

/// The model whose vectors the gateway's own stages compare: the one that `embeddings.model` names, else the first with
/// the tag `embedding` that can be asked (a provider that is switched off comes last). Null: there is none.
[[nodiscard]] const ModelConfig* embedding_model(const Config& config);
/// Whether a stage compares vectors.
[[nodiscard]] bool stage_needs_embeddings(std::string_view stage) noexcept;
/// Whether the configuration says `embeddings`, or a route has such a stage or keeps the vectors of what is asked.
[[nodiscard]] bool needs_embeddings(const Config& config);

}  // namespace leeway::app
