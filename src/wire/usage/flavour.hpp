#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace leeway::wire::usage {

/// Whose way of telling usage an answer follows. The tables are in tables.cpp.
enum class Flavour : std::uint8_t {
    kOpenAiChat,  ///< and whoever imitates it: the default of the OpenAI dialect
    kOpenAiResponses,
    kAnthropic,
    kGemini,
    kGeminiChat,  ///< Google's OpenAI-compatible endpoint
    kBedrock,     ///< Converse
    kCohere,
    kMistral,
    kDeepSeek,
    kXai,
    kGroq,
    kOpenRouter,
    kOpenRouterResponses,
    kVllm,
    kLlamaServer,
};
inline constexpr std::array<std::string_view, 15> kFlavourNames{"openai",
                                                                "openai-responses",
                                                                "anthropic",
                                                                "gemini",
                                                                "gemini-chat",
                                                                "bedrock",
                                                                "cohere",
                                                                "mistral",
                                                                "deepseek",
                                                                "xai",
                                                                "groq",
                                                                "openrouter",
                                                                "openrouter-responses",
                                                                "vllm",
                                                                "llama-server"};
[[nodiscard]] constexpr std::string_view to_string(Flavour flavour) noexcept {
    return kFlavourNames[static_cast<std::size_t>(flavour)];
}

/// The flavour of a server that is spoken to in OpenAI's chat dialect, by its host name.
[[nodiscard]] Flavour chat_flavour_of_host(std::string_view host) noexcept;

}  // namespace leeway::wire::usage
