#pragma once

#include "base/result.hpp"
#include "models/host/engine.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// A request for vectors as the model host takes it.
struct EmbedRequest {
    std::string model;
    std::vector<std::string> texts;
    bool truncate = false;  ///< our own field: texts beyond the model's limit are cut to it
    bool base64 = false;  ///< `encoding_format`: what the official SDKs ask for by default
    std::optional<std::int64_t> dimensions;  ///< the model's own is the only one that can be had
};

/// Reads and checks the body of `POST /v1/embeddings`. Uses the thread's JSON indexer. Errors:
/// kInvalidRequest in OpenAI's words, with `param`.
[[nodiscard]] Result<EmbedRequest> parse_embed_request(std::string_view body);

/// The answer. `model` is what the client called it.
[[nodiscard]] std::string render_embeddings(const Embeddings& embeddings, std::string_view model,
                                            bool base64);

}  // namespace leeway::models
