#pragma once

#include "wire/canonical/codec.hpp"

namespace leeway::wire::anthropic {

/// How Claude is asked to think for a request. Thinking and a forced tool exclude one another there.
struct Thinking {
    bool wanted = false;
    bool on = false;  ///< false though it is wanted: it cannot be
    std::int64_t budget = 0;  ///< tokens; of no meaning where the model decides itself
    std::int64_t max_tokens = 0;  ///< of the answer with its thoughts
};
[[nodiscard]] Thinking plan_thinking(const ChatRequest& request, const RequestTarget& target);
/// `output_config.effort` of models that decide themselves; empty: none.
[[nodiscard]] std::string_view effort_of(const Reasoning& reasoning) noexcept;
/// The `thinking` object.
[[nodiscard]] std::string thinking_json(const Thinking& thinking, const RequestTarget& target);

}  // namespace leeway::wire::anthropic
