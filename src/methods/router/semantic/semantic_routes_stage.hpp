#pragma once

#include "methods/router/semantic/semantic_decider.hpp"
#include "pipeline/stage.hpp"

#include <utility>

namespace leeway::router {

/// Answers, rejects or retargets a chat request by what is asked in it. Holds nothing; one for each route of the
/// gateway that has the stage.
class SemanticRoutesStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "semantic_routes",
                                               .on_error = pipeline::OnError::kSkip};
    /// `undecided`: kReject answers with the words of the rejection where a decision cannot be had.
    explicit SemanticRoutesStage(TableUse use,
                                 pipeline::OnError undecided = pipeline::OnError::kSkip)
        : use_(std::move(use)), info_{.name = kInfo.name, .on_error = undecided} {}

    [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return info_; }
    [[nodiscard]] Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;

private:
    const TableUse use_;
    const pipeline::StageInfo info_;
};

}  // namespace leeway::router
