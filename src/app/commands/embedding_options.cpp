#include "app/commands/embedding_options.hpp"

#include "app/commands/models_local.hpp"
#include "app/default_paths.hpp"
#include "app/progress_bar.hpp"
#include "models/embed/text_embedder.hpp"
#include "models/host/model_store.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

namespace leeway::app {
namespace {

namespace fs = std::filesystem;

// What tools/setup.sh puts among the models (tools/setup/versions.sh).
constexpr const char* kBundled = "all-minilm-l6-v2-q8_0.gguf";
constexpr std::uint32_t kMostThreads = 256;

bool is_file_name(const std::string& model) {
    return model.find('/') != std::string::npos || model.ends_with(".gguf");
}

/// A model of the configuration, its file found and checked.
Result<models::TextEmbedderOptions> configured(const Config& config, const std::string& name) {
    if (auto model = embedded_model(config, name); !model) return fail(std::move(model.error()));
    models::ModelStore store(local_store_options(config));
    auto facts = store.inspect(name);
    if (!facts) return fail(std::move(facts.error()));
    if (!facts->info) return fail(std::move(facts->info.error()));
    if (auto hash = store.verify(name); !hash) return fail(std::move(hash.error()));
    models::TextEmbedderOptions out;
    out.file = facts->path;
    out.name = name;
    out.most_tokens = config.local.context;
    return out;
}

Result<models::TextEmbedderOptions> bundled(const Config* config) {
    const fs::path folder = config == nullptr ? default_model_folder() : config->local.folder;
    models::TextEmbedderOptions out;
    out.file = folder / kBundled;
    if (config == nullptr) return out;
    // Under the name that the configuration has for it, and cut as the gateway cuts.
    const auto same = std::ranges::find_if(config->models, [&](const ModelConfig& model) {
        return model.file == kBundled && is_embedded(*config, model);
    });
    if (same != config->models.end()) return configured(*config, same->name);
    out.most_tokens = config->local.context;
    return out;
}

}  // namespace

void add_embedding_options(CLI::App& command, EmbeddingOptions& options) {
    command
        .add_option("--model", options.model,
                    "Embedding model: a name of the configuration, or a GGUF file [MiniLM L6]")
        ->type_name("NAME|FILE");
    command
        .add_option("--threads", options.threads,
                    "Threads that compute vectors [half of the cores]")
        ->check(CLI::Range(1U, kMostThreads))
        ->type_name("N");
    command.add_flag("--no-embedding-cache", options.no_cache,
                     "Neither use nor keep vectors of earlier runs");
}

Result<std::unique_ptr<models::TextEmbedder>> open_embedder(const Config* config,
                                                            const EmbeddingOptions& options) {
    Result<models::TextEmbedderOptions> chosen;
    if (options.model.empty()) {
        chosen = bundled(config);
    } else if (is_file_name(options.model)) {
        chosen->file = options.model;
    } else if (config != nullptr) {
        chosen = configured(*config, options.model);
    } else {
        return fail(ErrorCode::kConfig,
                    fmt::format("no configuration says what model '{}' is", options.model),
                    "name it with --config, or give a .gguf file");
    }
    if (!chosen) return fail(std::move(chosen.error()));
    chosen->threads = options.threads;
    if (!options.no_cache) chosen->cache_folder = fs::path(cache_folder()) / "embeddings";
    return models::open_text_embedder(std::move(*chosen));
}

Result<models::VectorTable> embed_with_bar(models::TextEmbedder& embedder,
                                           std::span<const std::string> texts,
                                           const std::string& what) {
    ProgressBar bar(fmt::format("embedding {} {}", texts.size(), what), true,
                    std::chrono::seconds(1));
    const double all = static_cast<double>(std::max<std::size_t>(1, texts.size()));
    return embedder.embed(texts,
                          [&](std::size_t done) { bar.update(static_cast<double>(done) / all); });
}

}  // namespace leeway::app
