#include "wire/anthropic/thinking.hpp"

#include "json/node.hpp"
#include "json/write.hpp"
#include "wire/canonical/common.hpp"

#include <algorithm>

namespace leeway::wire::anthropic {
namespace {

constexpr std::int64_t kLeastThinking = 1024;  // the API refuses less

}  // namespace

Thinking plan_thinking(const ChatRequest& request, const RequestTarget& target) {
    const Reasoning& reasoning = request.reasoning;
    Thinking out;
    out.wanted = reasoning.kind == Reasoning::Kind::kEffort ||
                 reasoning.kind == Reasoning::Kind::kBudget ||
                 reasoning.kind == Reasoning::Kind::kAdaptive;
    out.budget = reasoning.kind == Reasoning::Kind::kBudget ? reasoning.budget
                                                            : budget_of_effort(reasoning.effort);
    out.max_tokens = request.max_tokens.value_or(target.usual_max_tokens);
    const bool forced = request.tool_choice.kind == ToolChoice::Kind::kRequired ||
                        request.tool_choice.kind == ToolChoice::Kind::kNamed;
    if (out.wanted && !target.adaptive_thinking) {
        if (!request.max_tokens) out.max_tokens += out.budget;
        out.budget = std::min(out.budget, out.max_tokens - 1);
    }
    out.on = out.wanted && !forced && (target.adaptive_thinking || out.budget >= kLeastThinking);
    return out;
}

std::string_view effort_of(const Reasoning& reasoning) noexcept {
    return reasoning.effort == "minimal" ? std::string_view("low")
                                         : std::string_view(reasoning.effort);
}

std::string thinking_json(const Thinking& thinking, const RequestTarget& target) {
    std::string out;
    json::Writer json(out);
    json.object().key("type").string(target.adaptive_thinking ? "adaptive" : "enabled");
    if (!target.adaptive_thinking) json.key("budget_tokens").integer(thinking.budget);
    json.close_object();
    return out;
}

}  // namespace leeway::wire::anthropic
