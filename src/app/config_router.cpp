#include "app/config_router.hpp"

#include "app/commands/embedding_options.hpp"
#include "app/config_embeddings.hpp"
#include "app/config_names.hpp"
#include "app/config_policies.hpp"
#include "app/terminal.hpp"
#include "base/money.hpp"
#include "json/number.hpp"
#include "methods/router/predict/router_file.hpp"
#include "methods/router/predict/router_stage.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

constexpr std::string_view kStage = router::RouterStage::kInfo.name;

/// Of the vectors that the gateway will make; nullopt: only its provider can tell, or the model cannot be used at all, which
/// others complain about.
std::optional<models::EmbeddingModel> own_embeddings(const Config& config) {
    const ModelConfig* model = embedding_model(config);
    if (model == nullptr) return std::nullopt;
    const ProviderConfig* provider = find_named(config.providers, model->provider);
    if (provider == nullptr || provider->dialect != ProviderDialect::kEmbedded) return std::nullopt;
    const auto embedder =
        open_embedder(&config, {.model = model->name, .threads = 1, .no_cache = true});
    if (!embedder) return std::nullopt;
    return (*embedder)->model();
}

router::Spending spending_of(const RouterConfig& config, const router::RouterFile& file) {
    if (config.budget_pico_usd > 0)
        return {.budget_usd = router::in_usd(PicoUsd(config.budget_pico_usd)), .lambda = 0};
    if (config.lambda >= 0) return {.budget_usd = std::nullopt, .lambda = config.lambda};
    return file.spending;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
    std::ranges::sort(names);
    return names;
}

void read_spending(ConfigSource& source, Section& router, RouterConfig& out) {
    if (const auto budget = router.scalar("budget_usd")) {
        const auto amount = parse_usd(budget->text);
        if (amount && amount->value() > 0) {
            out.budget_pico_usd = amount->value();
        } else {
            source.error(budget->mark,
                         fmt::format("budget_usd: '{}' is no amount of USD above 0", budget->text));
        }
    }
    if (const auto lambda = router.scalar("lambda")) {
        const auto value = json::to_double(lambda->text);
        if (value && *value >= 0) {
            out.lambda = *value;
        } else {
            source.error(lambda->mark,
                         fmt::format("lambda: '{}' is no quality per USD: write a number from 0",
                                     lambda->text));
        }
    }
}

/// What other stages of the route ask of the order.
void check_order(ConfigSource& source, const RouteConfig& route, const RouteMarks& marks) {
    const auto own = std::ranges::find(route.stages, kStage);
    for (const std::string_view later : {"exact_cache", "semantic_cache", "cascade"}) {
        if (std::find(route.stages.begin(), own, later) == own) continue;
        source.error(
            marks.router,
            fmt::format("route '{}': the stage router must stand before {}, which goes by the "
                        "model that is asked",
                        route.name, later));
    }
}

void check_models(ConfigSource& source, const Config& config, const RouteConfig& route,
                  const RouteMarks& marks) {
    const std::vector<std::string> known = names_of(config.models);
    for (const PlacedText& named : marks.router_models) {
        if (!contains(known, named.text)) source.unknown(named.mark, "model", named.text, known);
    }
    std::vector<std::string> names = sorted(route.router.models);
    if (names.size() < 2 || std::ranges::adjacent_find(names) != names.end()) {
        source.error(marks.router,
                     "a router needs two models or more, each once: `models: [small, "
                     "large]`");
    } else if (!contains(names, route.model)) {
        source.error(marks.router,
                     fmt::format("route '{}' needs a `model` that is one of its router's: it "
                                 "answers where the router cannot decide in time",
                                 route.name));
    }
}

void check_policy(ConfigSource& source, const Config& config, const RouteConfig& route,
                  const RouteMarks& marks) {
    const auto policy = load_router(config, route);
    if (!policy) return source.error(marks.router, policy.error().message);
    const router::LearnedRouter& learned = **policy;
    if (!learned.evidence().enough) {
        source.warning(marks.router,
                       fmt::format("route '{}': the router's policy has not enough evidence ({}), "
                                   "so it keeps to '{}'",
                                   route.name, learned.evidence().why,
                                   learned.model(learned.policy().trades.front().single)));
    }
    if (route.router.paced && !learned.spending().budget_usd)
        source.error(marks.router, "`pace: on` needs a budget: `budget_usd: 0.002`");
}

}  // namespace

void read_router(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    Section router = section.section(kStage);
    marks.router = section.has(kStage) ? section.mark(kStage) : marks.name;
    router.text("policy", out.router.policy);
    router.list("models", marks.router_models);
    for (const PlacedText& model : marks.router_models) out.router.models.push_back(model.text);
    read_spending(source, router, out.router);
    router.on_off("pace", out.router.paced);
    if (out.router.budget_pico_usd > 0 && out.router.lambda >= 0)
        source.error(marks.router,
                     "`budget_usd` and `lambda` are two ways to say what may be "
                     "spent: keep one");
    router.finish();
}

Result<std::shared_ptr<const router::LearnedRouter>> load_router(const Config& config,
                                                                 const RouteConfig& route) {
    const auto failed = [&](std::string_view why) {
        return fail(ErrorCode::kConfig,
                    fmt::format("router: policy '{}': {}", route.router.policy, why));
    };
    const auto bytes = read_input(route.router.policy, router::kMostRouterFile);
    if (!bytes) return failed(bytes.error().message);
    auto file = router::read_router_file(*bytes);
    if (!file) return failed(file.error().message);
    if (const auto trusted = check_signer(config.policies, file->signer); !trusted)
        return failed(trusted.error().text());
    std::vector<std::string> models;
    for (const router::LearnedModel& one : file->state.models) models.push_back(one.model);
    if (sorted(models) != sorted(route.router.models))
        return failed(fmt::format("it was fitted to the models {}", fmt::join(models, ", ")));
    if (const auto own = own_embeddings(config); own && own->fingerprint != file->fingerprint) {
        return failed(
            fmt::format("it was fitted to vectors of {} ({}…), and '{}' here makes "
                        "others ({}…): make it anew with leeway tune router --config",
                        file->embedding_model, file->fingerprint.substr(0, 12), own->name,
                        own->fingerprint.substr(0, 12)));
    }
    const router::Spending spending = spending_of(route.router, *file);
    return std::make_shared<const router::LearnedRouter>(std::move(*file), spending);
}

void check_router(ConfigSource& source, const Config& config, const RouteConfig& route,
                  const RouteMarks& marks) {
    const bool used = contains(route.stages, kStage);
    if (used != !route.router.policy.empty()) {
        source.error(marks.router,
                     used ? fmt::format("route '{}': the stage router needs its policy: `router: "
                                        "{{policy: FILE, models: [small, large]}}` (leeway tune "
                                        "router makes one)",
                                        route.name)
                          : fmt::format("route '{}' has 'router', but it is not among its stages",
                                        route.name));
        return;
    }
    if (!used) return;
    check_order(source, route, marks);
    check_models(source, config, route, marks);
    check_policy(source, config, route, marks);
}

Result<std::unique_ptr<pipeline::Stage>> make_router_stage(
    const Config& config, const RouteConfig& route, const Services& services,
    const std::function<const pipeline::Model*(std::string_view)>& find) {
    if (services.embedder == nullptr || services.router_memory == nullptr)
        return fail(
            ErrorCode::kConfig,
            fmt::format("route '{}': the stage router needs an embedding model", route.name));
    auto policy = load_router(config, route);
    if (!policy) return fail(std::move(policy.error()));
    router::RouterUse use;
    use.router = std::move(*policy);
    for (std::size_t m = 0; m < use.router->models(); ++m) {
        use.models.push_back(find(use.router->model(m)));
        if (use.models.back() == nullptr)
            return fail(ErrorCode::kConfig,
                        fmt::format("router: there is no model '{}'", use.router->model(m)));
        if (use.router->model(m) == route.model) use.own = m;
    }
    use.route = route.name;
    use.embedder = services.embedder;
    use.limit = config.embeddings.timeout;
    use.memory = services.router_memory;
    if (route.router.paced && use.router->spending().budget_usd) {
        const std::string terms =
            fmt::format("{} {}", use.router->seal(), use.router->spending().budget_usd.value_or(0));
        use.pacer = use.memory->pacer(route.name, terms, [&] { return use.router->pacer(); });
    }
    if (!use.router->evidence().enough)
        spdlog::warn("route {}: the router keeps to one model: {}", route.name,
                     use.router->evidence().why);
    return std::make_unique<router::RouterStage>(std::move(use));
}

}  // namespace leeway::app
