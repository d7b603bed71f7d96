#pragma once

#include "methods/router/controller/plan.hpp"
#include "pipeline/context.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// A kind of subtask, and who does it.
struct StepKind {
    std::string name;
    const pipeline::Model* model = nullptr;  ///< not null; of the snapshot
    std::string when;  ///< told to the planner; may be empty
};

// Of the rows of the planner and of the steps in the ledger.
inline constexpr std::string_view kPlanTag = "controller_plan";
inline constexpr std::string_view kStepTag = "controller_step";

/// A conversation of text, as the JSON that models are shown.
struct ShownConversation {
    std::string json;
    std::string_view obstacle;  ///< why it cannot be shown, in a word; empty: it can
};

/// From the bytes of a chat request's `messages`, which were checked before. Obstacles: "too_long", "tools" (calls of tools
/// or what they answered), "media", "not_asked" (a person does not have the last word).
[[nodiscard]] ShownConversation shown_conversation(std::string_view messages);

/// Asks for the plan of a conversation.
[[nodiscard]] pipeline::OwnCall plan_call(const pipeline::Model& planner,
                                          std::span<const StepKind> kinds, const PlanRules& rules,
                                          std::string_view conversation);

/// Asks for one step. `results`: of all steps; those that it needs are there. What they say is data: it stands in JSON, out
/// of which no text can break.
[[nodiscard]] pipeline::OwnCall step_call(const Plan& plan, std::size_t step,
                                          std::span<const std::string> results,
                                          const StepKind& kind, std::int64_t answer_tokens,
                                          std::string_view conversation);

/// What the model that answers the request is told of the steps.
[[nodiscard]] std::string results_text(const Plan& plan, std::span<const std::string> results);

}  // namespace leeway::router
