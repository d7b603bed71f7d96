#include "app/config_embeddings.hpp"

#include "app/config_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace leeway::app {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::string_view, 4> kStages{"semantic_cache", "semantic_routes", "guard",
                                                  "router"};

const ProviderConfig* provider_of(const Config& config, const ModelConfig& model) {
    const auto at =
        std::find_if(config.providers.begin(), config.providers.end(),
                     [&](const ProviderConfig& one) { return one.name == model.provider; });
    return at == config.providers.end() ? nullptr : &*at;
}

/// In one place, which speaks OpenAI's dialect: vectors of several places may differ.
bool can_serve(const Config& config, const ModelConfig& model) {
    const ProviderConfig* const provider = provider_of(config, model);
    if (provider == nullptr || !model.targets.empty()) return false;
    return provider->dialect == ProviderDialect::kOpenAi ||
           provider->dialect == ProviderDialect::kAzure ||
           provider->dialect == ProviderDialect::kEmbedded;
}

void check_named(ConfigSource& source, const Draft& draft) {
    const Config& config = draft.config;
    const std::string& name = config.embeddings.model;
    const auto model = std::find_if(config.models.begin(), config.models.end(),
                                    [&](const ModelConfig& one) { return one.name == name; });
    if (model == config.models.end()) {
        std::vector<std::string> known;
        known.reserve(config.models.size());
        for (const ModelConfig& one : config.models) known.push_back(one.name);
        source.unknown(draft.embeddings_model, "model", name, known);
    } else if (provider_of(config, *model) != nullptr && !can_serve(config, *model)) {
        source.error(draft.embeddings_model,
                     fmt::format("embeddings: model '{}' must run in one place, embedded or at a "
                                 "provider of the dialect openai or azure",
                                 name));
    }
}

}  // namespace

const ModelConfig* embedding_model(const Config& config) {
    const ModelConfig* off = nullptr;
    for (const ModelConfig& model : config.models) {
        if (!config.embeddings.model.empty()) {
            if (model.name == config.embeddings.model) return &model;
            continue;
        }
        const bool tagged =
            std::find(model.tags.begin(), model.tags.end(), "embedding") != model.tags.end();
        if (!tagged || !can_serve(config, model)) continue;
        if (provider_of(config, model)->disabled_reason.empty()) return &model;
        if (off == nullptr) off = &model;
    }
    return off;
}

bool stage_needs_embeddings(std::string_view stage) noexcept {
    return std::find(kStages.begin(), kStages.end(), stage) != kStages.end();
}

bool needs_embeddings(const Config& config) {
    if (config.embeddings.named) return true;
    return std::any_of(config.routes.begin(), config.routes.end(), [](const RouteConfig& route) {
        return route.outcomes == pipeline::OutcomeKeeping::kEmbed ||
               std::any_of(route.stages.begin(), route.stages.end(), stage_needs_embeddings);
    });
}

void read_embeddings(ConfigSource& source, Section& top, Draft& draft) {
    constexpr std::uint64_t kMiB = 1024 * 1024;
    EmbeddingsConfig& out = draft.config.embeddings;
    out.named = top.has("embeddings");
    Section section = top.section("embeddings");
    section.text("model", out.model);
    draft.embeddings_model = section.mark("model");
    section.duration("timeout", out.timeout, milliseconds(1));
    section.bytes("memo", out.memo_bytes, 0, 1024 * 1024 * kMiB);
    section.number("batch", out.batch, 1, 2048);
    if (section.has("model") && out.model.empty())
        source.error(draft.embeddings_model,
                     "embeddings: 'model' is empty: leave it out for the "
                     "first model with the tag embedding");
    section.finish();
}

void check_embeddings(ConfigSource& source, const Draft& draft) {
    const Config& config = draft.config;
    if (!config.embeddings.model.empty()) return check_named(source, draft);
    if (embedding_model(config) != nullptr) return;
    constexpr std::string_view kHint =
        "needs an embedding model: one with `tags: [embedding]`, embedded or at a provider of the "
        "dialect openai or azure, such as minilm in config/leeway.yaml";
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        if (config.routes[i].outcomes == pipeline::OutcomeKeeping::kEmbed) {
            source.error(
                draft.route_marks[i].outcomes,
                fmt::format("route '{}': `outcomes: embed` {}", config.routes[i].name, kHint));
        }
        for (const std::string& stage : config.routes[i].stages) {
            if (!stage_needs_embeddings(stage)) continue;
            source.error(
                draft.route_marks[i].name,
                fmt::format("route '{}': the stage {} {}", config.routes[i].name, stage, kHint));
        }
    }
    if (config.embeddings.named)
        source.error(draft.embeddings_model, fmt::format("'embeddings' {}", kHint));
}

}  // namespace leeway::app
