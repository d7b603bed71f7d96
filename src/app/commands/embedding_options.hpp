#pragma once

#include "base/result.hpp"
#include "models/embedding.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): the name of the library
class App;
}

namespace leeway::app {

struct Config;

/// How a command that compares meanings makes its vectors.
struct EmbeddingOptions {
    std::string model;  ///< of the configuration, or a GGUF file; empty = the bundled MiniLM
    std::uint32_t threads = 0;  ///< 0 = half of the cores, at least one
    bool no_cache = false;
};

/// Adds --model, --threads and --no-embedding-cache. `options` outlives `command`.
void add_embedding_options(CLI::App& command, EmbeddingOptions& options);

/// The embedder that the options ask for, with the cache of vectors under `cache_folder()`. `config` may be null: then
/// a model is a file, or the bundled one in `default_model_folder()`. Errors: there is no such model (with what there
/// is), its file is missing or not the expected one, it gives no vectors.
[[nodiscard]] Result<std::unique_ptr<models::TextEmbedder>> open_embedder(
    const Config* config, const EmbeddingOptions& options);

/// `embedder.embed` with a bar on the terminal when it takes more than a second. `what` names the texts: "questions".
[[nodiscard]] Result<models::VectorTable> embed_with_bar(models::TextEmbedder& embedder,
                                                         std::span<const std::string> texts,
                                                         const std::string& what);

}  // namespace leeway::app
