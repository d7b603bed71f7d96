#include "app/snapshot.hpp"

#include "app/builtin_stages.hpp"
#include "app/config_cascade.hpp"
#include "app/config_controller.hpp"
#include "app/config_router.hpp"
#include "app/price_layers.hpp"
#include "app/provider_setup.hpp"
#include "app/routes/route_stages.hpp"
#include "app/worst_case.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "guard/auth/auth_stage.hpp"
#include "methods/cascade/cascade_stage.hpp"
#include "methods/router/controller/controller_stage.hpp"
#include "methods/router/predict/router_stage.hpp"
#include "wire/openai/models_list.hpp"

#include <spdlog/spdlog.h>

#include <cmath>

namespace leeway::app {
namespace {

pipeline::CacheMode cache_mode(ExactCacheMode mode) {
    switch (mode) {
        case ExactCacheMode::kOff: return pipeline::CacheMode::kOff;
        case ExactCacheMode::kAuto: return pipeline::CacheMode::kAuto;
        case ExactCacheMode::kOn: return pipeline::CacheMode::kOn;
    }
    return pipeline::CacheMode::kOff;
}

/// What asking a model costs against another one, by a request of usual length; 0: not known.
double cost_ratio(const pipeline::Model& one, const pipeline::Model& other) {
    constexpr std::int64_t kAsked = 1000;
    constexpr std::int64_t kAnswered = 300;
    constexpr std::chrono::milliseconds kLongestCall{10'000};
    const auto of_one = worst_cost(*one.price, unix_now_s(), kLongestCall, kAsked, kAnswered);
    const auto of_other = worst_cost(*other.price, unix_now_s(), kLongestCall, kAsked, kAnswered);
    if (!of_one || !of_other || *of_other <= 0) return 0;
    return static_cast<double>(*of_one) / static_cast<double>(*of_other);
}

cascade::CertificateCare care_of(const CascadeConfig& config, const cascade::CascadeUse& use) {
    constexpr double kPpm = 1e6;
    return {config.audit_ppm / kPpm, config.learn_ppm / kPpm, cost_ratio(*use.weak, *use.strong)};
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> Snapshot::build(
    const Config& config, std::shared_ptr<const guard::auth::KeyDirectory> keys,
    const Services& services, bool loopback_only) {
    auto out = std::shared_ptr<Snapshot>(new Snapshot);
    out->loopback_only_ = loopback_only;
    out->stages_ = make_builtin_stages(services);
    out->model_host_ = services.model_host;
    // Not one of those a route may name: it guards every request.
    auto auth = std::make_unique<guard::auth::AuthStage>(std::move(keys));
    out->mandatory_.push_back(auth.get());
    out->stages_.emplace("auth", std::move(auth));
    if (auto added = out->add_providers(config, services); !added)
        return fail(std::move(added.error()));
    if (auto added = out->add_models(config, services); !added) {
        return fail(std::move(added.error()));
    }
    if (auto added = out->add_routes(config, services); !added)
        return fail(std::move(added.error()));
    out->limits_ = services.limits;
    out->learner_ = services.learner;
    out->batches_ = services.batches;
    out->batch_reader_ = services.batch_reader;
    out->batch_waiters_ = services.batch_waiters;
    out->batches_config_ = config.batches;
    out->responses_ = services.responses;
    out->replays_ = services.replays;
    out->drain_slots_ = services.drain_slots;
    out->drains_ = config.drains;
    out->outcomes_ = services.outcomes;
    out->feedback_texts_ = config.outcomes.texts;
    out->embedder_ = services.embedder;
    out->idempotency_ttl_ = config.idempotency.ttl;
    if (!config.budgets.empty()) {
        out->budgets_.book = services.budgets;
        out->budgets_.leases = services.leases;
    }
    for (const BudgetConfig& one : config.budgets) {
        if (one.on_exceeded == OnExceeded::kRefuse) continue;
        out->budgets_.actions.emplace(
            one.spec.name, BudgetPolicy::Action{one.on_exceeded, out->model(one.degrade_model)});
    }
    out->render_models();
    return std::shared_ptr<const Snapshot>(std::move(out));
}

Result<void> Snapshot::add_providers(const Config& config, const Services& services) {
    const std::string host = model_host_ ? model_host_->url : std::string();
    for (const ProviderConfig& from : config.providers) {
        auto made = make_provider(from, host, services.tokens);
        if (!made) return fail(std::move(made.error()));
        providers_.push_back(std::move(*made));
    }
    return {};
}

Result<void> Snapshot::add_models(const Config& config, const Services& services) {
    for (const ModelConfig& from : config.models) {
        pipeline::Model& to = models_[from.name];
        if (auto filled = fill_model(config, from, services, to); !filled) return filled;
        if (auto added = add_targets(config, from, services, to); !added) return added;
    }
    for (const ModelConfig& from : config.models) {
        for (const std::string& name : from.fallbacks)
            models_.find(from.name)->second.fallbacks.push_back(model(name));
    }
    return {};
}

/// All that a model has as an upstream to be asked. `to` must not move any more.
Result<void> Snapshot::fill_model(const Config& config, const ModelConfig& from,
                                  const Services& services, pipeline::Model& to) {
    to.name = from.name;
    to.upstream_name = from.upstream_name.empty() ? from.name : from.upstream_name;
    to.price =
        std::make_shared<const prices::ModelPrices>(prices_of(config, from, services.prices.get()));
    to.provider_name = from.provider;
    to.tier = from.tier;
    to.flex_wait = from.flex_wait;
    to.abilities = from.abilities;
    for (std::size_t i = 0; i < config.providers.size(); ++i) {
        if (config.providers[i].name != from.provider) continue;
        to.provider = static_cast<std::uint32_t>(i);
        to.disabled = config.providers[i].disabled_reason;
    }
    TokenRule rule;
    if (services.vocabularies != nullptr) {
        auto found = services.vocabularies->rule_for(from, config.tokenizers);
        if (!found) {
            return fail(ErrorCode::kConfig, "model '" + from.name + "': " + found.error().message,
                        found.error().hint);
        }
        rule = std::move(*found);
    }
    token_rules_.emplace(&to, std::move(rule));
    const ProviderConfig& provider = config.providers[to.provider];
    std::shared_ptr<providers::Breaker> breaker;
    to.local = from.targets.empty() && provider.dialect == ProviderDialect::kEmbedded;
    const bool asked = from.targets.empty() && provider.dialect != ProviderDialect::kEmbedded;
    if (services.breakers != nullptr && asked)
        breaker =
            services.breakers->get(provider.name, to.name, to.upstream_name, provider.breaker);
    breakers_.emplace(&to, std::move(breaker));
    return {};
}

Result<void> Snapshot::add_targets(const Config& config, const ModelConfig& from,
                                   const Services& services, pipeline::Model& to) {
    if (from.targets.empty()) return {};
    Group group;
    group.balance = from.balance;
    for (const TargetConfig& target : from.targets) {
        ModelConfig one = from;
        one.targets.clear();
        one.provider = target.provider;
        one.upstream_name = target.upstream_name;
        pipeline::Model& model = targets_.emplace_back();
        if (auto filled = fill_model(config, one, services, model); !filled) return filled;
        to.targets.push_back(&model);
        if (model.disabled.empty()) to.disabled.clear();  // it can be asked somewhere
        auto& load = loads_[&model] = std::make_unique<providers::TargetLoad>();
        group.candidates.push_back(
            {target.weight, checksum64(target.provider + '\n' + target.upstream_name), load.get()});
    }
    groups_.emplace(&to, std::move(group));
    return {};
}

std::vector<const pipeline::Model*> Snapshot::places(const pipeline::Model& model,
                                                     std::uint64_t sticky) const {
    const auto found = groups_.find(&model);
    if (found == groups_.end()) return {&model};
    const Group& group = found->second;
    const std::uint64_t seed =
        group.balance == providers::Balance::kSticky ? sticky : fast_random();
    std::vector<const pipeline::Model*> out;
    for (const std::size_t place :
         providers::order(group.balance, group.candidates, seed, monotonic_now()))
        out.push_back(model.targets[place]);
    return out;
}

providers::TargetLoad* Snapshot::load(const pipeline::Model& model) const {
    const auto found = loads_.find(&model);
    return found == loads_.end() ? nullptr : found->second.get();
}

/// A stage that decides by a routes file is the route's own; the others are everybody's.
Result<pipeline::Stage*> Snapshot::stage_for(const std::string& name, const RouteConfig& route,
                                             const Config& config, const Services& services) {
    if (name == cascade::CascadeStage::kInfo.name) {
        auto made = make_cascade(config, route, services.certificates);
        if (!made) return fail(std::move(made.error()));
        return route_stages_.emplace_back(std::move(*made)).get();
    }
    if (name == router::RouterStage::kInfo.name) {
        auto made = make_router_stage(config, route, services,
                                      [this](std::string_view wanted) { return model(wanted); });
        if (!made) return fail(std::move(made.error()));
        return route_stages_.emplace_back(std::move(*made)).get();
    }
    if (name == router::ControllerStage::kInfo.name) {
        auto made = make_controller_stage(
            route, services, [this](std::string_view wanted) { return model(wanted); });
        if (!made) return fail(std::move(made.error()));
        return route_stages_.emplace_back(std::move(*made)).get();
    }
    if (!is_route_stage(name) || services.embedder == nullptr || services.route_tables == nullptr) {
        const auto stage = stages_.find(name);
        if (stage != stages_.end()) return stage->second.get();
        return fail(ErrorCode::kConfig,
                    "route '" + route.name + "' names the unknown stage '" + name + "'");
    }
    auto made = make_route_stage(name, route, *services.route_tables, *services.embedder,
                                 config.embeddings.timeout,
                                 [this](std::string_view wanted) { return model(wanted); });
    if (!made) return fail(std::move(made.error()));
    return route_stages_.emplace_back(std::move(*made)).get();
}

Result<void> Snapshot::add_routes(const Config& config, const Services& services) {
    for (const RouteConfig& from : config.routes) {
        pipeline::Route to;
        to.name = from.name;
        to.target = from.model.empty() ? nullptr : model(from.model);
        to.baseline = from.baseline.empty() ? nullptr : model(from.baseline);
        const bool chooses = !from.cascade.models.empty() || !from.router.models.empty() ||
                             !from.controller.planner.empty();
        if (to.baseline == nullptr && chooses) to.baseline = to.target;
        to.holdout_ppm = from.holdout_ppm;
        to.tier = from.tier;
        to.flex_wait = from.flex_wait;
        to.gather_wait = from.gather.least_wait;
        to.gather_window = from.gather.window;
        to.gather_requests = from.gather.requests;
        to.hedge_after = from.hedge_after;
        to.hedge_at_p95 = from.hedge_at_p95;
        if (!from.shadow.model.empty()) to.shadow = model(from.shadow.model);
        to.shadow_ppm = from.shadow.share_ppm;
        to.outcomes = from.outcomes;
        for (const std::string& other : from.fallbacks) to.fallbacks.push_back(model(other));
        to.exact_cache = cache_mode(from.exact_cache);
        to.cache_ttl = from.cache_ttl.count() > 0 ? from.cache_ttl : config.cache.ttl;
        to.semantic = semantic_cache(from, to.cache_ttl);
        for (const std::string& name : from.stages) {
            const auto stage = stage_for(name, from, config, services);
            if (!stage) return fail(stage.error());
            to.stages.push_back(*stage);
        }
        routes_.emplace(from.name, std::move(to));
    }
    return {};
}

Result<std::unique_ptr<pipeline::Stage>> Snapshot::make_cascade(
    const Config& config, const RouteConfig& route, cascade::CertificateBook* certificates) const {
    cascade::CascadeUse use;
    use.weak = model(route.cascade.models.front());
    use.strong = model(route.cascade.models.back());
    use.checks = {route.cascade.checks_schema, route.cascade.checks_sums,
                  route.cascade.checks_wording, nullptr};
    if (!route.cascade.pattern.empty()) {
        auto pattern = cascade::check::answer_pattern(route.cascade.pattern);
        if (!pattern) return fail(std::move(pattern.error()));
        use.checks.pattern = std::move(*pattern);
    }
    use.tools = route.cascade.tools;
    use.weak_if_strong_fails = route.cascade.weak_if_strong_fails;
    use.early.strong_after = std::chrono::milliseconds(route.cascade.strong_after_ms);
    use.early.hold_back = route.cascade.hold_back;
    use.early.give_up_after = route.cascade.give_up_after;
    if (use.early.give_up_after > 0)
        use.early.least_logprob =
            std::log(static_cast<double>(route.cascade.give_up_below_ppm) / 1e6);
    if (!route.cascade.judge_model.empty()) use.judge = model(route.cascade.judge_model);
    const bool learns = route.cascade.learn_ppm > 0;
    if (!route.cascade.policy.empty() || learns) {
        const auto policy = load_cascade(config, route.cascade);
        if (!policy) return fail(policy.error());
        if (policy->certificate.certified) use.cut = policy->certificate.cut;
        if ((use.cut || learns) && route.cascade.audit_ppm > 0 && certificates != nullptr)
            use.certificate = certificates->use(route.name, *policy, care_of(route.cascade, use));
        if (use.certificate ? !use.certificate->obstacle().empty() : !use.cut)
            spdlog::warn("route {}: the strong model answers all{}: {}", route.name,
                         learns ? " until enough is learned" : "", policy->certificate.why);
    } else if (route.cascade.accept_ppm > 0) {
        const double least = static_cast<double>(route.cascade.accept_ppm) / 1e6;
        constexpr double kAnyTie = -1e15;
        use.cut = cascade::Score{cascade::confidence_of(std::log(least)), kAnyTie};
    }
    return std::make_unique<cascade::CascadeStage>(use);
}

pipeline::SemanticCache Snapshot::semantic_cache(const RouteConfig& route,
                                                 std::chrono::seconds usual_ttl) const {
    using Judge = pipeline::SemanticCache::Judge;
    const SemanticCacheConfig& from = route.semantic_cache;
    pipeline::SemanticCache out;
    out.max_error = static_cast<double>(from.max_error_ppm) / 1e6;
    out.ttl = from.ttl.count() > 0 ? from.ttl : usual_ttl;
    out.shared = from.shared;
    switch (from.judge) {
        case SemanticJudge::kNone: break;
        case SemanticJudge::kExact: out.judge = Judge::kExact; break;
        case SemanticJudge::kModel:
            out.judge = Judge::kModel;
            out.judge_model = model(from.judge_model);
            break;
    }
    return out;
}

void Snapshot::render_models() {
    std::vector<wire::openai::ModelEntry> entries;
    for (const std::string& name : served_names()) {
        const pipeline::Model* found = model(name);
        entries.push_back({name, 0, found == nullptr ? "leeway" : found->provider_name});
    }
    models_json_ = wire::openai::render_models(entries);
}

std::vector<std::string> Snapshot::served_names() const {
    std::vector<std::string> out;
    for (const auto& [name, model] : models_) {
        if (model.disabled.empty()) out.push_back(name);
    }
    for (const auto& [name, route] : routes_) {
        if (route.target != nullptr && !models_.contains(name)) out.push_back(name);
    }
    return out;
}

const pipeline::Model* Snapshot::model(std::string_view name) const {
    const auto place = models_.find(name);
    return place == models_.end() ? nullptr : &place->second;
}

const pipeline::Model* Snapshot::model_at(std::string_view provider,
                                          std::string_view upstream_name) const {
    for (const auto& [name, model] : models_) {
        if (model.provider_name == provider && model.upstream_name == upstream_name) return &model;
        for (const pipeline::Model* target : model.targets) {
            if (target->provider_name == provider && target->upstream_name == upstream_name)
                return target;
        }
    }
    return nullptr;
}

bool Snapshot::has_name(std::string_view name) const {
    const auto route = routes_.find(name);
    return models_.contains(name) || (route != routes_.end() && route->second.target != nullptr);
}

bool Snapshot::resolve(std::string_view name, pipeline::RequestContext& context) const {
    const auto route = routes_.find(name);
    if (route != routes_.end() && route->second.target != nullptr) {
        context.route = &route->second;
        context.model = route->second.target;
        return true;
    }
    const pipeline::Model* named = model(name);
    if (named == nullptr) return false;
    const auto fallback = routes_.find("default");
    context.route = fallback == routes_.end() ? nullptr : &fallback->second;
    context.asked = named;
    context.model = named;
    return true;
}

}  // namespace leeway::app
