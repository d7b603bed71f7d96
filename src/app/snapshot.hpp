#pragma once

#include "app/budget_policy.hpp"
#include "app/config.hpp"
#include "app/model_hosts.hpp"
#include "app/vocabularies.hpp"
#include "guard/auth/key_directory.hpp"
#include "methods/agent_cache/exact_cache_stage.hpp"
#include "pipeline/model.hpp"
#include "pipeline/stage.hpp"
#include "prices/book.hpp"
#include "providers/balance.hpp"
#include "providers/breaker.hpp"
#include "providers/provider.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::cascade {
class CertificateBook;
}
namespace leeway::models {
class Embedder;
}
namespace leeway::router {
class ControllerTally;
class RouterMemory;
}  // namespace leeway::router

namespace leeway::app {

class BatchReader;
class BatchStore;
class BatchWaiters;
class DrainSlots;
class OutcomeRecorder;
class ReplayStore;
class ResponseStore;
class RouteTables;
class TokenLearner;

/// What a snapshot is built on: stores, which outlive every configuration, and the model host.
struct Services {
    agent_cache::CacheServices cache;
    std::shared_ptr<ModelHost> model_host;  ///< null: no provider is embedded
    std::shared_ptr<const prices::PriceBook> prices =
        {};  ///< null: only the configuration's prices
    budget::Book* budgets = nullptr;  ///< outlives every snapshot
    limits::LimitBook* limits = nullptr;  ///< the same
    VocabularyShelf* vocabularies = nullptr;  ///< null: none; used while building only
    budget::LeaseKeeper* leases = nullptr;  ///< likewise
    providers::TokenSources* tokens = nullptr;  ///< outlives every snapshot
    providers::BreakerBook* breakers = nullptr;  ///< null: none; used while building only
    TokenLearner* learner = nullptr;  ///< likewise
    BatchStore* batches = nullptr;  ///< null: no provider takes batches; outlives every snapshot
    BatchReader* batch_reader = nullptr;  ///< there where `batches` is
    BatchWaiters* batch_waiters = nullptr;  ///< likewise
    ResponseStore* responses = nullptr;  ///< null: none are kept; outlives every snapshot
    ReplayStore* replays = nullptr;  ///< null: idempotency keys are only passed on; likewise
    DrainSlots* drain_slots = nullptr;  ///< null: nothing is drained; likewise
    models::Embedder* embedder =
        nullptr;  ///< null: no model makes embeddings; outlives every snapshot
    OutcomeRecorder* outcomes =
        nullptr;  ///< null: no route keeps outcomes; outlives every snapshot
    cascade::CertificateBook* certificates = nullptr;  ///< outlives every snapshot
    RouteTables* route_tables = nullptr;  ///< there where `embedder` is; used while building only
    router::RouterMemory* router_memory = nullptr;  ///< likewise; outlives every snapshot
    router::ControllerTally* controller_tally = nullptr;  ///< outlives every snapshot
};

/// One configuration, built into what the data plane runs on. Immutable; each request pins the one it
/// started with, so a reload changes nothing under a running request.
class Snapshot {
public:
    /// Builds all of it or nothing. Errors are kConfig in words for the operator.
    [[nodiscard]] static Result<std::shared_ptr<const Snapshot>> build(
        const Config& config, std::shared_ptr<const guard::auth::KeyDirectory> keys,
        const Services& services, bool loopback_only);
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    /// Resolves what a client named: a route, or a model (then the route is "default", if there is
    /// one). False: there is no such name.
    [[nodiscard]] bool resolve(std::string_view name, pipeline::RequestContext& context) const;
    [[nodiscard]] const pipeline::Model* model(std::string_view name) const;
    [[nodiscard]] const providers::Provider& provider(const pipeline::Model& model) const {
        return providers_[model.provider];
    }
    [[nodiscard]] std::span<const providers::Provider> all_providers() const noexcept {
        return providers_;
    }
    /// The model that `provider` calls `upstream_name`; null: none of ours.
    [[nodiscard]] const pipeline::Model* model_at(std::string_view provider,
                                                  std::string_view upstream_name) const;
    /// How its tokens are counted.
    [[nodiscard]] const TokenRule& token_rule(const pipeline::Model& model) const {
        return token_rules_.at(&model);
    }
    /// Null: it has none.
    [[nodiscard]] providers::Breaker* breaker(const pipeline::Model& model) const {
        return breakers_.at(&model).get();
    }
    /// Where to ask `model`, best first: itself, or its targets as its balance says. `sticky`: what requests that
    /// shall stay together have in common.
    [[nodiscard]] std::vector<const pipeline::Model*> places(const pipeline::Model& model,
                                                             std::uint64_t sticky) const;
    /// Of a target; null: the model runs in one place.
    [[nodiscard]] providers::TargetLoad* load(const pipeline::Model& model) const;
    [[nodiscard]] std::span<pipeline::Stage* const> mandatory() const noexcept {
        return mandatory_;
    }
    /// The body of `GET /v1/models`.
    [[nodiscard]] const std::string& models_json() const noexcept { return models_json_; }
    /// All names that callers may ask for now.
    [[nodiscard]] std::vector<std::string> served_names() const;
    [[nodiscard]] bool has_name(std::string_view name) const;
    /// Of the embedded models; null: there are none.
    [[nodiscard]] models::Supervisor* models() const noexcept {
        return model_host_ ? &model_host_->supervisor : nullptr;
    }
    [[nodiscard]] bool loopback_only() const noexcept { return loopback_only_; }
    /// Null: no budget is configured.
    [[nodiscard]] const BudgetPolicy* budgets() const noexcept {
        return budgets_.book != nullptr ? &budgets_ : nullptr;
    }
    /// What is done when this budget is exceeded.
    [[nodiscard]] BudgetPolicy::Action on_exceeded(std::string_view budget) const {
        const auto found = budgets_.actions.find(budget);
        return found == budgets_.actions.end() ? BudgetPolicy::Action() : found->second;
    }
    /// Null: nothing is limited.
    [[nodiscard]] limits::LimitBook* limits() const noexcept { return limits_; }
    /// Null: nothing is learned.
    [[nodiscard]] TokenLearner* learner() const noexcept { return learner_; }
    /// Null: no provider takes batches.
    [[nodiscard]] BatchStore* batches() const noexcept { return batches_; }
    /// Null where `batches` is.
    [[nodiscard]] BatchReader* batch_reader() const noexcept { return batch_reader_; }
    [[nodiscard]] BatchWaiters* batch_waiters() const noexcept { return batch_waiters_; }
    [[nodiscard]] const BatchesConfig& batches_config() const noexcept { return batches_config_; }
    /// Null: no responses are kept.
    [[nodiscard]] ResponseStore* responses() const noexcept { return responses_; }
    /// Null: idempotency keys are only passed on.
    [[nodiscard]] ReplayStore* replays() const noexcept { return replays_; }
    [[nodiscard]] std::chrono::seconds idempotency_ttl() const noexcept { return idempotency_ttl_; }
    /// Null: nothing is drained.
    [[nodiscard]] DrainSlots* drain_slots() const noexcept { return drain_slots_; }
    /// Null: no route keeps outcomes.
    [[nodiscard]] OutcomeRecorder* outcomes() const noexcept { return outcomes_; }
    [[nodiscard]] bool keeps_feedback_texts() const noexcept { return feedback_texts_; }
    /// Null: no model makes embeddings.
    [[nodiscard]] models::Embedder* embedder() const noexcept { return embedder_; }
    [[nodiscard]] const DrainConfig& drains() const noexcept { return drains_; }

private:
    Snapshot() = default;
    Result<void> add_providers(const Config& config, const Services& services);
    Result<void> add_models(const Config& config, const Services& services);
    Result<void> fill_model(const Config& config, const ModelConfig& from, const Services& services,
                            pipeline::Model& to);
    Result<void> add_targets(const Config& config, const ModelConfig& from,
                             const Services& services, pipeline::Model& to);
    Result<void> add_routes(const Config& config, const Services& services);
    Result<pipeline::Stage*> stage_for(const std::string& name, const RouteConfig& route,
                                       const Config& config, const Services& services);
    [[nodiscard]] Result<std::unique_ptr<pipeline::Stage>> make_cascade(
        const Config& config, const RouteConfig& route,
        cascade::CertificateBook* certificates) const;
    [[nodiscard]] pipeline::SemanticCache semantic_cache(const RouteConfig& route,
                                                         std::chrono::seconds usual_ttl) const;
    void render_models();

    std::vector<providers::Provider> providers_;
    std::map<std::string, pipeline::Model, std::less<>> models_;
    std::map<const pipeline::Model*, TokenRule> token_rules_;
    std::map<const pipeline::Model*, std::shared_ptr<providers::Breaker>> breakers_;
    std::deque<pipeline::Model> targets_;  // they do not move
    std::map<const pipeline::Model*, std::unique_ptr<providers::TargetLoad>> loads_;  // of targets
    struct Group {
        providers::Balance balance = providers::Balance::kWeighted;
        std::vector<providers::Candidate> candidates;  // as in Model::targets
    };
    std::map<const pipeline::Model*, Group> groups_;
    std::map<std::string, pipeline::Route, std::less<>> routes_;
    std::map<std::string, std::unique_ptr<pipeline::Stage>, std::less<>> stages_;
    std::vector<std::unique_ptr<pipeline::Stage>> route_stages_;  // each of one route
    std::vector<pipeline::Stage*> mandatory_;
    std::shared_ptr<ModelHost> model_host_;  // lives as long as a request that may need it
    std::string models_json_;
    bool loopback_only_ = true;
    BudgetPolicy budgets_;
    limits::LimitBook* limits_ = nullptr;
    TokenLearner* learner_ = nullptr;
    BatchStore* batches_ = nullptr;
    BatchReader* batch_reader_ = nullptr;
    BatchWaiters* batch_waiters_ = nullptr;
    BatchesConfig batches_config_;
    ResponseStore* responses_ = nullptr;
    ReplayStore* replays_ = nullptr;
    std::chrono::seconds idempotency_ttl_{0};
    DrainSlots* drain_slots_ = nullptr;
    DrainConfig drains_;
    OutcomeRecorder* outcomes_ = nullptr;
    bool feedback_texts_ = false;
    models::Embedder* embedder_ = nullptr;
};

}  // namespace leeway::app
