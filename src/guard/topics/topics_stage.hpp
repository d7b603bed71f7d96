#pragma once

#include "methods/router/semantic/semantic_decider.hpp"
#include "pipeline/stage.hpp"

#include <cstdint>
#include <utility>

namespace leeway::guard::topics {

/// What is done with a request that is about none of the topics.
enum class Otherwise : std::uint8_t {
    kReject,  ///< answered with the file's words, no upstream is asked
    kAllow,
    kLog,  ///< allowed, and noted in the ledger's row
    kLocalOnly,  ///< answered by a model that runs here
};

/// Keeps a route to its topics: each is a route of a file, with what is done with it (nothing: it is allowed). Holds
/// nothing; one for each route of the gateway that has the stage. Where it cannot decide (no vectors in time) the
/// request goes on, which is counted and noted, as with every optional stage; or it is answered as rejected.
class TopicsStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{
        .name = "guard", .on_error = pipeline::OnError::kSkip, .guards = true};
    /// `undecided`: as of SemanticRoutesStage.
    TopicsStage(router::TableUse use, Otherwise otherwise,
                pipeline::OnError undecided = pipeline::OnError::kSkip)
        : use_(std::move(use)),
          otherwise_(otherwise),
          info_{.name = kInfo.name, .on_error = undecided, .guards = kInfo.guards} {}

    [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return info_; }
    [[nodiscard]] Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;

private:
    const router::TableUse use_;
    const Otherwise otherwise_;
    const pipeline::StageInfo info_;
};

}  // namespace leeway::guard::topics
