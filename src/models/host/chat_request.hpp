#pragma once

#include "base/result.hpp"
#include "models/host/engine.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// A request for chat completions as the model host takes it.
struct ChatRequest {
    std::string model;
    bool stream = false;
    bool include_usage = false;  ///< the stream ends with a usage chunk
    std::uint32_t choices = 1;   ///< `n`
    std::vector<ChatMessage> messages;
    Sampling sampling;

    [[nodiscard]] bool wants_logprobs() const noexcept { return sampling.top_logprobs >= 0; }
};

/// Most choices (`n`) of one request: each is a job of its own.
inline constexpr std::int64_t kMaxChoices = 16;

/// Reads and checks the body of `POST /v1/chat/completions`: ranges as OpenAI has them, in its words and
/// with `param`. What would change the answer and cannot be done here (tools, images, audio, JSON
/// formats, …) is refused and never ignored; unknown fields pass unread. Besides OpenAI's: `top_k` and
/// `min_p`. Uses the thread's JSON indexer. Errors: kInvalidRequest.
[[nodiscard]] Result<ChatRequest> parse_chat_request(std::string_view body);

}  // namespace leeway::models
