#pragma once

#include <cstdint>
#include <string_view>

namespace leeway::tokens {

/// How far a count can be trusted.
enum class Quality : std::uint8_t {
    kExact = 1,       ///< the model's own tokenizer, or arithmetic that its provider documents
    kCalibrated = 2,  ///< fitted to what the provider reported, with an interval
    kHeuristic = 3,   ///< a rule of thumb
    kProvider = 4,    ///< reported by the provider itself
};

[[nodiscard]] constexpr std::string_view to_string(Quality quality) noexcept {
    switch (quality) {
        case Quality::kExact: return "exact";
        case Quality::kCalibrated: return "calibrated";
        case Quality::kHeuristic: return "heuristic";
        case Quality::kProvider: return "provider";
    }
    return "heuristic";
}
/// The quality of a sum of two counts: that of the worse one.
[[nodiscard]] constexpr Quality worse(Quality a, Quality b) noexcept {
    if (a == Quality::kHeuristic || b == Quality::kHeuristic) return Quality::kHeuristic;
    if (a == Quality::kCalibrated || b == Quality::kCalibrated) return Quality::kCalibrated;
    return a == Quality::kExact && b == Quality::kExact ? Quality::kExact : Quality::kProvider;
}

/// A number of tokens with its quality and the interval it lies in with 95 % probability; for exact
/// counts and counts of a provider that is the number itself.
struct TokenCount {
    std::int64_t tokens = 0;
    std::int64_t low = 0;
    std::int64_t high = 0;
    Quality quality = Quality::kExact;

    [[nodiscard]] static constexpr TokenCount exact(std::int64_t tokens) noexcept {
        return {tokens, tokens, tokens, Quality::kExact};
    }
};

}  // namespace leeway::tokens
