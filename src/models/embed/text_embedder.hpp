#pragma once

#include "base/result.hpp"
#include "models/embedding.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace leeway::models {

struct TextEmbedderOptions {
    std::filesystem::path file = {};  ///< a GGUF file of an embedding model
    std::string name = {};  ///< as the configuration calls it; defaults to the file's name
    std::uint32_t threads = 0;  ///< 0 = half of the cores, at least one
    std::uint32_t most_tokens = 0;  ///< a text is cut to so many; 0 = the model's limit
    /// Where vectors are kept between runs (VectorFile); empty = nowhere.
    std::filesystem::path cache_folder = {};
};

/// An embedder that runs the model in this process. The file is checked and hashed here, and loaded when the first
/// text comes whose vector the cache does not have. A cache that cannot be used is gone without, with a warning in
/// the log. Errors: kConfig (not a model file, or it gives no vectors). `embed`: those of Engine::load.
[[nodiscard]] Result<std::unique_ptr<TextEmbedder>> open_text_embedder(TextEmbedderOptions options);

}  // namespace leeway::models
