#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// One subtask of a request.
struct PlanStep {
    std::size_t id = 0;  ///< as the planner calls it
    std::string task;
    std::size_t kind = 0;  ///< index into the rules' kinds
    std::vector<std::size_t> needs;  ///< places of steps before this one, ascending, each once
};

/// Subtasks as a graph without cycles, in an order in which each stands behind all that it needs.
struct Plan {
    std::vector<PlanStep> steps;
};

/// What a plan may be like.
struct PlanRules {
    std::vector<std::string> kinds;
    std::size_t max_steps = 0;
};

/// The JSON schema of a plan, in the strict form that providers take. Larger plans than the rules allow fit it: not every
/// provider has words for that.
[[nodiscard]] std::string plan_schema(const PlanRules& rules);

/// Reads and checks what a planner answered; what stands around the one JSON object does not count. Nothing of it is
/// trusted. Errors have a reason in one word: "not_json", "not_a_plan" (members missing or of the wrong type),
/// "too_many_steps", "bad_id" (used twice, out of range), "bad_task" (empty, too long), "unknown_kind", "unknown_need" (also
/// a result that the task speaks of without needing its step), "cycle" (also a step that needs itself).
[[nodiscard]] Result<Plan> read_plan(std::string_view answer, const PlanRules& rules);

/// The steps that no other needs.
[[nodiscard]] std::vector<std::size_t> last_steps(const Plan& plan);

/// `task` with the name of a result ("result 1") for each `<result-1>`.
[[nodiscard]] std::string with_named_results(std::string_view task);

}  // namespace leeway::router
