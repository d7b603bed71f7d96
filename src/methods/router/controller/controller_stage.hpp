#pragma once

#include "base/clock.hpp"
#include "methods/router/controller/controller_tally.hpp"
#include "methods/router/controller/plan_prompts.hpp"
#include "pipeline/stage.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// What a route's controller does. All pointers outlive the stage.
struct ControllerUse {
    std::string route;
    const pipeline::Model* planner = nullptr;  ///< not null
    const pipeline::Model* own =
        nullptr;  ///< of the route: answers, by the results where there are any; not null
    std::vector<StepKind> kinds;  ///< at least one
    std::size_t max_steps = 2;
    std::size_t max_parallel = 1;
    Duration timeout{};  ///< for the plan and all of its steps
    std::int64_t answer_tokens = 0;  ///< the most of each step
    bool join_last = false;  ///< the last step's answer is the answer, where there is one last step
    ControllerTally* tally = nullptr;  ///< null: nothing is counted
};

/// Has a model plan subtasks of a chat request as a graph, each done by the model of its kind, side by side where they do
/// not need each other (after HuggingGPT's controller, Shen et al. 2023), and adds their results to the request
/// (docs/formats/controller.md). What goes wrong on the way costs what it cost: the request goes on without results.
/// Holds nothing of requests; one for each route that has the stage.
class ControllerStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "controller",
                                               .on_error = pipeline::OnError::kSkip};
    explicit ControllerStage(ControllerUse use);

    [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    [[nodiscard]] Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;

private:
    /// Why nothing is planned, in a word; empty: something may be.
    [[nodiscard]] std::string_view obstacle(const pipeline::RequestContext& context) const;
    [[nodiscard]] bool may_all_answer(const pipeline::RequestContext& context) const;
    /// Notes and counts what came of it; `figures` only in the note.
    void tell(std::string_view verdict, const std::string& figures,
              pipeline::RequestContext& context) const;
    /// The request goes on with the results, or the last one is the answer.
    [[nodiscard]] pipeline::Verdict join(const Plan& plan, std::span<const std::string> results,
                                         pipeline::RequestContext& context) const;

    const ControllerUse use_;
    const PlanRules rules_;
};

}  // namespace leeway::router
