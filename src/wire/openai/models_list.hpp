#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace leeway::wire::openai {

/// One model as clients see it.
struct ModelEntry {
    std::string id;
    std::int64_t created = 0;  ///< seconds since the epoch
    std::string owned_by;
};

/// The answer to `GET /v1/models`, in the given order.
[[nodiscard]] std::string render_models(std::span<const ModelEntry> models);
/// The answer to `GET /v1/models/{id}`.
[[nodiscard]] std::string render_model(const ModelEntry& model);

}  // namespace leeway::wire::openai
