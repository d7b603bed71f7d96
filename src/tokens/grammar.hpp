#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::tokens {

/// How a vocabulary cuts text into pieces before byte pairs are merged: the regular expressions of the
/// published tokenizers, each written here as a scanner. Values are stored in vocabulary files.
enum class Grammar : std::uint32_t {
    kNone = 0,  ///< the whole text is one piece (SentencePiece)
    kGpt2 = 1,  ///< gpt2, r50k_base, p50k_base
    kCl100k = 2,  ///< cl100k_base
    kO200k = 3,  ///< o200k_base, o200k_harmony, Llama 4
    kLlama3 = 4,  ///< Llama 3, GLM 4, DBRX: cl100k with other rules for space at the end
    kQwen2 = 5,  ///< Qwen 2 and 3: Llama 3 with single digits
    kSmolLm2 = 6,  ///< SmolLM2, StarCoder, Command R: single digits, then GPT-2
    kDeepSeek3 = 7,  ///< DeepSeek V3 and R1: digits, Chinese and Japanese, then words
    kTekken = 8,  ///< Mistral tekken: o200k without contractions, single digits
};
inline constexpr std::uint32_t kLastGrammar = 8;

/// "cl100k" and the like, for messages.
[[nodiscard]] std::string_view grammar_name(Grammar grammar) noexcept;
/// The grammar that GGUF files call `pre` (`tokenizer.ggml.pre`), or nullopt.
[[nodiscard]] std::optional<Grammar> grammar_of_gguf(std::string_view pre) noexcept;
/// The grammar whose main regular expression is written `pattern` in a HuggingFace or tekken file.
[[nodiscard]] std::optional<Grammar> grammar_of_pattern(std::string_view pattern);

}  // namespace leeway::tokens
