#pragma once

#include "tokens/count.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// Models that count alike.
enum class ModelFamily : std::uint8_t {
    kUnknown = 0,
    kOpenAi = 1,    ///< chat models of OpenAI
    kHarmony = 2,   ///< gpt-oss
    kClaude3 = 3,   ///< Claude before Opus 4.7
    kClaude47 =
        4,  ///< Opus 4.7 and later, Sonnet 5, Fable 5, Mythos 5: about 30 % more for the same text
    kGemini = 5,
    kOpenWeights = 6,  ///< its vocabulary is public, in the model's own files
};
[[nodiscard]] std::string_view to_string(ModelFamily family) noexcept;

/// How a model's tokens are counted.
struct ModelTokens {
    ModelFamily family = ModelFamily::kUnknown;
    /// Name of the vocabulary: that of the model (`exact`), else the one an estimate starts from.
    std::string vocabulary;
    bool exact = false;
};

/// How a model is counted whose vocabulary somebody names: OpenAI's by their names, any other as that of an
/// open model.
[[nodiscard]] ModelTokens tokens_of_vocabulary(std::string vocabulary);

/// One line of the map.
struct ModelRule {
    std::string pattern;  ///< with * for any characters; letter case does not matter
    ModelTokens tokens;
};

/// Whether `name` fits `pattern`, in which * stands for any number of characters.
[[nodiscard]] bool matches_wildcard(std::string_view pattern, std::string_view name) noexcept;
/// Without what stands before it in "openai/gpt-4o" and "us.anthropic.claude-…".
[[nodiscard]] std::string_view bare_model_name(std::string_view model) noexcept;

/// The built-in map's answer for `model`; unknown models get o200k_base as a heuristic. Rules of the
/// configuration come first: the first that fits decides, the whole name before the bare one.
[[nodiscard]] ModelTokens find_model(std::string_view model,
                                     const std::vector<ModelRule>& extra = {});

}  // namespace leeway::tokens
