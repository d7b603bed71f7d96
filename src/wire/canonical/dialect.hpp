#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::wire {

/// The languages that callers and providers speak.
enum class Dialect : std::uint8_t {
    kOpenAiChat = 0,  ///< POST /v1/chat/completions
    kOpenAiResponses = 1,  ///< POST /v1/responses
    kAnthropic = 2,  ///< POST /v1/messages
    kGemini = 3,  ///< POST /v1beta/models/MODEL:generateContent
    kBedrock = 4,  ///< POST /model/MODEL/converse; no caller speaks it
    kCohere = 5,  ///< POST /v2/chat; no caller speaks it
};
inline constexpr std::array<std::string_view, 6> kDialectNames{"openai", "responses", "anthropic",
                                                               "gemini", "bedrock",   "cohere"};
[[nodiscard]] constexpr std::string_view to_string(Dialect dialect) noexcept {
    return kDialectNames[static_cast<std::size_t>(dialect)];
}

}  // namespace leeway::wire
