#pragma once

#include "tokens/count.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace leeway::tokens {

/// Size of an image in pixels.
struct ImageSize {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
};

enum class ImageDetail : std::uint8_t { kAuto = 0, kLow = 1, kHigh = 2 };

/// What an image costs in tokens, by the rule that the model's provider publishes. The rules are priors:
/// users have found bills that differ (openai-python#2851), so the quality is heuristic. Nullopt: no rule
/// is known for the model. A size of 0 is that of an image nobody has looked at: the most it can cost.
[[nodiscard]] std::optional<TokenCount> image_tokens(std::string_view model, ImageSize size,
                                                     ImageDetail detail = ImageDetail::kAuto);

/// The size that the head of a PNG, JPEG, GIF or WebP file states; nullopt when it states none.
[[nodiscard]] std::optional<ImageSize> image_size(std::string_view file);

}  // namespace leeway::tokens
