#pragma once

#include "methods/agent_cache/exact_store.hpp"
#include "methods/agent_cache/sharded_key_memo.hpp"
#include "methods/agent_cache/single_flight.hpp"
#include "pipeline/stage.hpp"

namespace leeway::models {
class Embedder;
}

namespace leeway::agent_cache {

class SemanticStore;

/// What the cache stages work on; outlives every configuration. All thread-safe.
struct CacheServices {
    ExactStore* exact = nullptr;
    SingleFlight* flights = nullptr;
    ShardedKeyMemo* keys = nullptr;
    SemanticStore* semantic = nullptr;
    models::Embedder* embedder = nullptr;  ///< null: nothing embeds
};

/// Answers what was asked before with the same bytes: same tenant, model and every field that can
/// change an answer (see wire/openai/canonical.hpp). Concurrent equal requests wait for one of them.
/// Used for `temperature: 0` and embeddings, or for everything where the route says so; never for a
/// request that says `Cache-Control: no-store`. Thread-safe.
class ExactCacheStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "exact_cache",
                                               .on_error = pipeline::OnError::kSkip};

    explicit ExactCacheStage(CacheServices services) : services_(services) {}

    const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;
    void on_outcome(pipeline::RequestContext& context,
                    const pipeline::Outcome& outcome) noexcept override;

private:
    const CacheServices services_;
};

}  // namespace leeway::agent_cache
