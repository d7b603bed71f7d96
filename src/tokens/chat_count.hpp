#pragma once

#include "base/result.hpp"
#include "tokens/calibration.hpp"
#include "tokens/count.hpp"
#include "tokens/message_memo.hpp"
#include "tokens/model_map.hpp"
#include "tokens/tokenizer.hpp"

#include <cstdint>
#include <string_view>

namespace leeway::tokens {

/// The input tokens of a chat request and where they come from.
struct ChatCount {
    TokenCount total;
    std::int64_t messages = 0;  ///< their text, names, calls and frames
    std::int64_t tools = 0;     ///< definitions of functions
    std::int64_t images = 0;
    std::int64_t reply = 0;     ///< what primes the answer
    std::uint32_t message_count = 0;
    std::uint32_t unknown_parts = 0;  ///< content parts that nothing is known of (audio, files)
    CalibrationFeatures features;     ///< for models without a public tokenizer
};

/// How a chat request is counted.
struct ChatCounting {
    std::string_view model;
    ModelTokens rule;                          ///< `find_model` of it
    Tokenizer* tokenizer = nullptr;            ///< with the vocabulary of the rule
    MessageMemo* memo = nullptr;               ///< may be absent
    const Calibration* calibration = nullptr;  ///< for rules that are not exact; absent: the prior
};

/// Counts a request body in OpenAI's chat form. Text alone is exact for OpenAI's models: 3 tokens for
/// each message and one more for a name, 3 for the reply (OpenAI cookbook, "How to count tokens"); harmony
/// frames each with start, message and end. Tools follow the form that users found (function_text.hpp)
/// and make the count calibrated; images and unknown parts make it heuristic. Fails with
/// `kInvalidRequest` on what is no JSON object with messages.
[[nodiscard]] Result<ChatCount> count_chat(std::string_view body, const ChatCounting& counting);

}  // namespace leeway::tokens
