#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace leeway::router {

inline constexpr std::size_t kCues = 16;

/// What tells of a text's kind and that a vector of its meaning tells badly: how long it is, how much of it is numbers,
/// formulas, code, a question, choices, another script. Each is of the order of 1.
using TextCues = std::array<float, kCues>;

/// Looks at the first kMostCueBytes; of what is beyond only the length counts. Any thread.
[[nodiscard]] TextCues cues_of(std::string_view text) noexcept;
inline constexpr std::size_t kMostCueBytes = 16UL * 1024;

}  // namespace leeway::router
