#include "app/snapshot.hpp"

#include "app/builtin_stages.hpp"
#include "app/price_layers.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "guard/auth/auth_stage.hpp"
#include "wire/openai/models_list.hpp"

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

wire::Dialect wire_dialect(ProviderDialect dialect) {
    switch (dialect) {
        case ProviderDialect::kOpenAi:
        case ProviderDialect::kAzure:
        case ProviderDialect::kEmbedded: return wire::Dialect::kOpenAiChat;
        case ProviderDialect::kAnthropic: return wire::Dialect::kAnthropic;
        case ProviderDialect::kVertex:
        case ProviderDialect::kGemini: return wire::Dialect::kGemini;
        case ProviderDialect::kBedrock: return wire::Dialect::kBedrock;
        case ProviderDialect::kCohere: return wire::Dialect::kCohere;
        case ProviderDialect::kResponses: return wire::Dialect::kOpenAiResponses;
    }
    return wire::Dialect::kOpenAiChat;
}

wire::usage::Flavour flavour_of(ProviderDialect dialect, std::string_view host) {
    using wire::usage::Flavour;
    switch (dialect) {
        case ProviderDialect::kOpenAi: return wire::usage::chat_flavour_of_host(host);
        case ProviderDialect::kEmbedded: return Flavour::kLlamaServer;
        case ProviderDialect::kAnthropic: return Flavour::kAnthropic;
        case ProviderDialect::kVertex:
        case ProviderDialect::kGemini: return Flavour::kGemini;
        case ProviderDialect::kBedrock: return Flavour::kBedrock;
        case ProviderDialect::kCohere: return Flavour::kCohere;
        case ProviderDialect::kAzure: return Flavour::kOpenAiChat;
        case ProviderDialect::kResponses:
            return host == "openrouter.ai" ? Flavour::kOpenRouterResponses
                                           : Flavour::kOpenAiResponses;
    }
    return Flavour::kOpenAiChat;
}

/// The header that a provider's key goes into as it is; "authorization" has it behind "Bearer".
std::string_view credential_header(ProviderDialect dialect) {
    switch (dialect) {
        case ProviderDialect::kAnthropic: return "x-api-key";
        case ProviderDialect::kGemini: return "x-goog-api-key";
        case ProviderDialect::kAzure: return "api-key";
        default: return "authorization";
    }
}

/// Addresses and credentials of those that have their own way.
Result<void> add_service(const ProviderConfig& from, providers::TokenSources* tokens,
                         providers::Provider& to) {
    if (from.dialect == ProviderDialect::kAzure) {
        if (from.api_version == "v1") {
            to.origin.url.path += "/openai/v1";
        } else {
            to.deployments_version = from.api_version;
        }
    }
    if (from.dialect == ProviderDialect::kBedrock && !from.aws.secret_key.empty()) {
        to.aws = providers::AwsCredentials{from.aws.access_key.expose(), from.aws.secret_key,
                                           from.aws.session_token, from.aws.region};
    }
    if (from.dialect == ProviderDialect::kVertex) {
        to.origin.url.path += "/projects/" + from.vertex.project + "/locations/" +
                              from.vertex.location + "/publishers/google";
        auto source = tokens->source(from.vertex.service_account, from.ca_file);
        if (!source) return fail(std::move(source.error()));
        to.tokens = std::move(*source);
    }
    return {};
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
    if (auto added = out->add_routes(config); !added) return fail(std::move(added.error()));
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
    for (const ProviderConfig& from : config.providers) {
        providers::Provider to;
        to.name = from.name;
        const bool embedded = from.dialect == ProviderDialect::kEmbedded;
        to.kind = embedded ? providers::Kind::kEmbedded : providers::Kind::kRemote;
        to.dialect = wire_dialect(from.dialect);
        auto url = net::parse_base_url(embedded ? model_host_->url : from.base_url);
        if (!url) return fail(std::move(url.error()));
        to.origin.url = std::move(*url);
        if (to.origin.url.tls) {
            auto tls = net::make_tls_context(from.ca_file);
            if (!tls) return fail(std::move(tls.error()));
            to.origin.tls = std::move(*tls);
        }
        to.flavour = from.usage.value_or(flavour_of(from.dialect, to.origin.url.address.host));
        to.quirks = from.quirks;
        to.origin.timeouts = {from.timeouts.connect, from.timeouts.first_byte,
                              from.timeouts.between_chunks, from.timeouts.total};
        to.origin.max_connections = from.max_connections;
        to.retries = from.retries;
        to.batches = from.batches;
        // Its supervisor starts it again; a request that ended it is not given to it twice.
        if (embedded) to.retries.attempts = 0;
        // A change of what is trusted must not reuse connections made before it.
        to.origin.key =
            to.origin.url.address.text() + (to.origin.url.tls ? " tls " + from.ca_file : "");
        to.credential_header = credential_header(from.dialect);
        const bool bearer = to.credential_header == "authorization";
        if (!from.api_key.empty())
            to.authorization = bearer ? Secret("Bearer " + from.api_key.expose()) : from.api_key;
        if (auto added = add_service(from, services.tokens, to); !added) return added;
        providers_.push_back(std::move(to));
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

Result<void> Snapshot::add_routes(const Config& config) {
    for (const RouteConfig& from : config.routes) {
        pipeline::Route to;
        to.name = from.name;
        to.target = from.model.empty() ? nullptr : model(from.model);
        to.baseline = from.baseline.empty() ? nullptr : model(from.baseline);
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
        for (const std::string& other : from.fallbacks) to.fallbacks.push_back(model(other));
        to.exact_cache = cache_mode(from.exact_cache);
        to.cache_ttl = from.cache_ttl.count() > 0 ? from.cache_ttl : config.cache.ttl;
        for (const std::string& name : from.stages) {
            const auto stage = stages_.find(name);
            if (stage == stages_.end()) {
                return fail(ErrorCode::kConfig,
                            "route '" + from.name + "' names the unknown stage '" + name + "'");
            }
            to.stages.push_back(stage->second.get());
        }
        routes_.emplace(from.name, std::move(to));
    }
    return {};
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
