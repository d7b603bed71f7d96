#include "app/config_cascade.hpp"
#include "app/config_controller.hpp"
#include "app/config_model.hpp"
#include "app/config_names.hpp"
#include "app/config_router.hpp"
#include "app/routes/route_stages.hpp"
#include "providers/service_account.hpp"
#include "tokens/model_map.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// `own`: the model that they stand in for; empty: the caller names it.
void check_fallbacks(ConfigSource& source, const Config& config, const std::string& own,
                     const std::vector<PlacedText>& fallbacks) {
    const std::vector<std::string> models = names_of(config.models);
    std::vector<std::string> seen;
    for (const PlacedText& one : fallbacks) {
        if (!contains(models, one.text)) source.unknown(one.mark, "model", one.text, models);
        if (one.text == own) {
            source.error(one.mark, fmt::format("fallbacks: '{}' cannot stand in for itself (it is "
                                               "asked again by the provider's `retries`)",
                                               own));
        }
        if (contains(seen, one.text)) {
            source.error(one.mark,
                         fmt::format("fallbacks: '{}' stands in the list twice", one.text));
        }
        seen.push_back(one.text);
    }
}

void check_model(ConfigSource& source, const Config& config, const ModelConfig& model,
                 const ModelMarks& marks) {
    check_fallbacks(source, config, model.name, marks.fallbacks);
    for (std::size_t i = 0; i < model.targets.size(); ++i) {
        const std::string& name = model.targets[i].provider;
        const ProviderConfig* provider = find_named(config.providers, name);
        if (provider == nullptr && !name.empty()) {
            source.unknown(marks.targets[i], "provider", name, names_of(config.providers));
        } else if (provider != nullptr && provider->dialect == ProviderDialect::kEmbedded) {
            source.error(marks.targets[i], "an embedded provider cannot be one of several targets");
        }
    }
    if (!model.targets.empty()) return;
    if (model.provider.empty()) return;  // said already
    const ProviderConfig* provider = find_named(config.providers, model.provider);
    if (provider == nullptr) {
        source.unknown(marks.provider, "provider", model.provider, names_of(config.providers));
        return;
    }
    const bool embedded = provider->dialect == ProviderDialect::kEmbedded;
    if (embedded && model.file.empty()) {
        source.error(marks.name, fmt::format("model '{}' runs embedded and needs a file: the name "
                                             "of its GGUF file",
                                             model.name));
    }
    if (!embedded && (!model.file.empty() || !model.sha256.empty())) {
        source.error(marks.file, fmt::format("model '{}' has a file, but provider '{}' is not "
                                             "embedded",
                                             model.name, model.provider));
    }
}

/// Requests that are gathered go to one place that takes batches, and nobody else waits for their answers.
void check_gathering(ConfigSource& source, const Config& config, const RouteConfig& route,
                     const RouteMarks& marks) {
    const ModelConfig* model = find_named(config.models, route.model);
    const ProviderConfig* provider =
        model == nullptr ? nullptr : find_named(config.providers, model->provider);
    if (route.model.empty()) {
        source.error(marks.tier, "tier: batch needs a route with a model");
    } else if (provider != nullptr && (!provider->batches || !model->targets.empty() ||
                                       provider->dialect != ProviderDialect::kOpenAi)) {
        source.error(marks.tier,
                     fmt::format("tier: batch needs a model of one provider of the dialect openai "
                                 "with `batches: true`, and '{}' is none",
                                 route.model));
    }
    for (const char* cache : {"exact_cache", "semantic_cache"}) {
        if (!contains(route.stages, cache)) continue;
        source.error(marks.tier,
                     fmt::format("tier: batch and the stage {} exclude each other: requests for "
                                 "the same answer would wait for the batch, whatever their callers "
                                 "said",
                                 cache));
    }
}

void check_semantic_cache(ConfigSource& source, const Config& config, const RouteConfig& route,
                          const RouteMarks& marks) {
    const auto exact = std::find(route.stages.begin(), route.stages.end(), "exact_cache");
    const auto semantic = std::find(route.stages.begin(), route.stages.end(), "semantic_cache");
    if (semantic == route.stages.end()) {
        source.warning(marks.semantic,
                       fmt::format("route '{}' has options of the semantic cache, but "
                                   "'semantic_cache' is not among its stages",
                                   route.name));
    } else if (route.semantic_cache.max_error_ppm == 0) {
        source.error(marks.name, fmt::format("route '{}' has the stage semantic_cache, which needs "
                                             "`cache: {{semantic: {{max_error: 0.01}}}}`",
                                             route.name));
    } else if (exact != route.stages.end() && semantic < exact) {
        source.error(marks.semantic,
                     "exact_cache must stand before semantic_cache: what it finds needs no vector");
    }
    const std::string& judge = route.semantic_cache.judge_model;
    const std::vector<std::string> models = names_of(config.models);
    if (!judge.empty() && !contains(models, judge))
        source.unknown(marks.judge, "model", judge, models);
}

void check_route(ConfigSource& source, const Config& config, const RouteConfig& route,
                 const RouteMarks& marks, bool has_cache) {
    const std::vector<std::string> models = names_of(config.models);
    if (!route.model.empty() && !contains(models, route.model)) {
        source.unknown(marks.model, "model", route.model, models);
    }
    check_fallbacks(source, config, route.model, marks.fallbacks);
    if (!route.shadow.model.empty() && !contains(models, route.shadow.model))
        source.unknown(marks.shadow, "model", route.shadow.model, models);
    if (route.model.empty() && route.name != "default") {
        source.error(marks.name, fmt::format("route '{}' needs a model (only the route 'default' "
                                             "may leave the choice to the caller)",
                                             route.name));
    }
    if (contains(models, route.name)) {
        source.error(marks.name, fmt::format("'{}' is the name of a route and of a model; callers "
                                             "use both as `model`, so rename one",
                                             route.name));
    }
    if (!route.baseline.empty()) {
        const ModelConfig* baseline = find_named(config.models, route.baseline);
        if (baseline == nullptr) {
            source.unknown(marks.baseline, "model", route.baseline, models);
        } else if (!baseline->price.has(prices::Bucket::kInput) &&
                   baseline->machine_hour_pico_usd < 0 && config.prices.book.empty()) {
            source.warning(marks.baseline,
                           fmt::format("model '{}' has no price, so the baseline of route '{}' "
                                       "stays unknown",
                                       route.baseline, route.name));
        }
    }
    if (route.tier == prices::Tier::kBatch) check_gathering(source, config, route, marks);
    check_route_stages(source, config, route, marks);
    check_cascade(source, config, route, marks);
    check_router(source, config, route, marks);
    check_controller(source, config, route, marks);
    const bool exact = contains(route.stages, "exact_cache");
    const bool semantic = contains(route.stages, "semantic_cache");
    if (has_cache && !exact && !semantic) {
        source.warning(marks.cache,
                       fmt::format("route '{}' has cache options, but 'exact_cache' is "
                                   "not among its stages",
                                   route.name));
    }
    if (semantic || route.semantic_cache.max_error_ppm > 0)
        check_semantic_cache(source, config, route, marks);
}

void check_keys(ConfigSource& source, const Draft& draft) {
    const Config& config = draft.config;
    for (std::size_t i = 0; i < config.keys.size(); ++i) {
        const KeyConfig& key = config.keys[i];
        const KeyMarks& marks = draft.key_marks[i];
        for (std::size_t j = 0; j < i; ++j) {
            if (!key.name.empty() && config.keys[j].name == key.name) {
                source.error(marks.key, fmt::format("two keys are called '{}'", key.name));
            }
            if (!key.secret.empty() && config.keys[j].secret == key.secret) {
                source.error(marks.secret, fmt::format("keys '{}' and '{}' have the same secret",
                                                       config.keys[j].name, key.name));
            }
        }
        const std::vector<std::string> models = names_of(config.models);
        for (const PlacedText& model : marks.models) {
            if (!contains(models, model.text)) {
                source.unknown(model.mark, "model", model.text, models);
            }
        }
        const std::vector<std::string> routes = names_of(config.routes);
        for (const PlacedText& route : marks.routes) {
            if (!contains(routes, route.text)) {
                source.unknown(route.mark, "route", route.text, routes);
            }
        }
    }
}

/// A pattern that fits no model would count nothing, and a name that stands twice could not be told apart.
void check_commitments(ConfigSource& source, const Draft& draft) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < draft.config.providers.size(); ++i) {
        const ProviderConfig& provider = draft.config.providers[i];
        for (const PlacedText& name : draft.provider_marks[i].commitments) {
            if (!name.text.empty() && contains(names, name.text)) {
                source.error(name.mark, fmt::format("there are two commitments '{}'", name.text));
            }
            names.push_back(name.text);
        }
        std::vector<std::string> models;
        for (const ModelConfig& model : draft.config.models) {
            if (model.provider == provider.name) models.push_back(model.name);
        }
        for (const PlacedText& pattern : draft.provider_marks[i].committed_models) {
            const bool fits =
                std::any_of(models.begin(), models.end(), [&](const std::string& model) {
                    return tokens::matches_wildcard(pattern.text, model);
                });
            if (!fits) {
                source.unknown(pattern.mark, fmt::format("model of provider {}", provider.name),
                               pattern.text, models);
            }
        }
    }
}

}  // namespace

const std::vector<std::string>& known_stages() {
    static const std::vector<std::string> kStages{
        "exact_cache", "semantic_cache", "semantic_routes", "guard",
        "router",      "controller",     "cascade"};
    return kStages;
}

void check_draft(ConfigSource& source, const Draft& draft) {
    const Config& config = draft.config;
    for (std::size_t i = 0; i < config.providers.size(); ++i) {
        const std::string& file = config.providers[i].ca_file;
        if (!file.empty() && access(file.c_str(), R_OK) != 0) {
            source.error(draft.provider_marks[i].ca_file,
                         fmt::format("ca_file: '{}' cannot be read", file));
        }
        const std::string& account = config.providers[i].vertex.service_account;
        if (account.empty()) continue;
        if (const auto read = providers::read_service_account(account); !read) {
            source.error(draft.provider_marks[i].service_account, "service_account", read.error());
        }
    }
    for (std::size_t i = 0; i < config.models.size(); ++i) {
        check_model(source, config, config.models[i], draft.model_marks[i]);
    }
    check_tokenizers(source, draft);
    for (std::size_t i = 0; i < config.routes.size(); ++i) {
        check_route(source, config, config.routes[i], draft.route_marks[i],
                    draft.route_has_cache[i]);
    }
    check_embeddings(source, draft);
    check_keys(source, draft);
    check_commitments(source, draft);
}

Result<void> check_exposure(const Config& config, bool has_stored_keys) {
    if (has_stored_keys || !config.keys.empty()) return {};
    const auto address = parse_listen_address(config.server.listen);
    if (!address) return fail(address.error());
    if (is_this_machine(*address)) return {};
    return fail(
        ErrorCode::kConfig,
        fmt::format("refusing to listen on {} without any key: everyone who reaches it could "
                    "spend your money",
                    config.server.listen),
        "make one with `leeway keys create NAME`, or listen on 127.0.0.1:8484");
}

}  // namespace leeway::app
