#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::prices {

/// What one answer used, in disjoint token buckets: each token is in exactly one of them, so their
/// sum is what the provider billed. All counts are ≥ 0.
struct Usage {
    std::int64_t input = 0;             ///< fresh text (and image) input
    std::int64_t cached_input = 0;      ///< input read from the provider's prompt cache
    std::int64_t cache_write_input = 0; ///< input written to the provider's prompt cache
    std::int64_t audio_input = 0;       ///< uncached audio input
    std::int64_t output = 0;            ///< visible text output
    std::int64_t reasoning_output = 0;  ///< reasoning the caller does not see but pays for
    std::int64_t audio_output = 0;

    [[nodiscard]] std::int64_t input_total() const noexcept {
        return input + cached_input + cache_write_input + audio_input;
    }
    [[nodiscard]] std::int64_t output_total() const noexcept {
        return output + reasoning_output + audio_output;
    }
    friend bool operator==(const Usage&, const Usage&) = default;
};

/// How much is known about the usage of an answer. Stored by number: never renumber.
enum class UsageState : std::uint8_t {
    kMissing = 0,  ///< the provider told nothing; the counts are meaningless, the cost is unknown
    kFinal = 1,  ///< told at the end, complete
    kPartial = 2,  ///< told, but the answer was cut before its end
    kZero = 3,  ///< told explicitly as zero
};

[[nodiscard]] constexpr std::string_view to_string(UsageState state) noexcept {
    switch (state) {
        case UsageState::kMissing: return "missing";
        case UsageState::kFinal: return "final";
        case UsageState::kPartial: return "partial";
        case UsageState::kZero: return "zero";
    }
    return "missing";
}

}  // namespace leeway::prices
