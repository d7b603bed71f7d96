#pragma once

#include "methods/agent_cache/exact_cache_stage.hpp"
#include "methods/agent_cache/semantic_store.hpp"
#include "models/embedding.hpp"
#include "pipeline/stage.hpp"

#include <optional>
#include <string_view>

namespace leeway::agent_cache {

/// Answers a question that was asked before in other words, where its route promises an error that the evidence
/// supports: same tenant (or all, where the route says so), route, model, system prompt, conversation so far and every
/// field that can change an answer (see AskedQuestion). What is served, what is only watched and what is verified is
/// decided by a RiskController for each tenant and route; without a judge nothing is served.
///
/// A verdict comes for nothing where an answer that was not served is compared with the fresh one, else from an audit:
/// a call of its own, as judging by a model is (pipeline::LaterCall). Thread-safe.
class SemanticCacheStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "semantic_cache",
                                               .on_error = pipeline::OnError::kSkip};

    explicit SemanticCacheStage(CacheServices services) : services_(services) {}

    const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;
    void on_outcome(pipeline::RequestContext& context,
                    const pipeline::Outcome& outcome) noexcept override;

    /// How long a request waits for its vector at most.
    static constexpr Duration kPatience = std::chrono::milliseconds(500);

private:
    const CacheServices services_;
};

/// The caller's own limit on the error, from `x-leeway-cache-max-error`, if it is stricter than the route's: one of a few
/// levels, since each needs evidence of its own. 0: it wants nothing that is not its own answer. An error's `reason` is
/// "bad_max_error".
[[nodiscard]] Result<double> promised_error(double of_route,
                                            std::optional<std::string_view> header);

}  // namespace leeway::agent_cache
