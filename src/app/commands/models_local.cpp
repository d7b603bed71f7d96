#include "app/commands/models_local.hpp"

#include "app/progress_bar.hpp"
#include "base/strings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace leeway::app {
models::ModelStoreOptions local_store_options(const Config& config) {
    models::ModelStoreOptions out;
    out.folders.emplace_back(config.local.folder);
    for (const ModelConfig& model : config.models) {
        if (is_embedded(config, model))
            out.models.push_back({model.name, model.file, model.sha256, {}});
    }
    out.only_listed = true;
    out.memory_bytes = config.local.memory_bytes;
    out.engine.threads = config.local.threads;
    out.engine.sequences = config.local.parallel;
    out.engine.context_tokens = config.local.context;
    return out;
}

bool is_embedded(const Config& config, const ModelConfig& model) {
    return std::any_of(
        config.providers.begin(), config.providers.end(), [&](const ProviderConfig& p) {
            return p.name == model.provider && p.dialect == ProviderDialect::kEmbedded;
        });
}

Result<const ModelConfig*> embedded_model(const Config& config, const std::string& name) {
    std::vector<std::string> names;
    for (const ModelConfig& model : config.models) {
        if (model.name == name) {
            if (is_embedded(config, model)) return &model;
            return fail(ErrorCode::kConfig,
                        fmt::format("model '{}' runs at provider '{}', not on this machine", name,
                                    model.provider),
                        "ask it through the gateway: ./run, then a request that names it");
        }
        if (is_embedded(config, model)) names.push_back(model.name);
    }
    const auto near = nearest(name, names);
    return fail(
        ErrorCode::kNotFound, fmt::format("the configuration has no model '{}'", name),
        near ? fmt::format("did you mean '{}'?", *near)
             : fmt::format("embedded models: {}",
                           names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

Result<std::unique_ptr<models::Engine>> load_here(const Config& config, const std::string& name,
                                                  bool bar) {
    models::ModelStoreOptions options = local_store_options(config);
    models::EngineOptions engine = options.engine;
    models::ModelStore store(std::move(options));
    auto facts = store.inspect(name);
    if (!facts) return fail(std::move(facts.error()));
    if (!facts->info) return fail(std::move(facts->info.error()));
    if (auto hash = store.verify(name); !hash) return fail(std::move(hash.error()));
    ProgressBar progress("loading", bar);
    engine.file = facts->path;
    engine.name = name;
    engine.progress = [&progress](float part) {
        progress.update(static_cast<double>(part));
        return true;
    };
    return models::Engine::load(std::move(engine));
}

std::uint64_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    if (!(file >> total >> resident)) return 0;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace leeway::app
