#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace leeway::cascade::check {

/// The final answer in a text, in a form in which equal answers are equal: the member "answer" of a JSON object, what stands
/// behind "####", "final answer:" or "answer:", or all of it; of that the number, where it is one with or without a
/// unit or currency sign, else small letters without articles, punctuation and outer white space.
[[nodiscard]] std::string final_answer(std::string_view text);

/// Whether two answers say the same: their final answers are equal, or they are the same text but for its spelling; short
/// ones that differ do not. nullopt: comparing the texts does not tell.
[[nodiscard]] std::optional<bool> say_the_same(std::string_view a, std::string_view b);

/// How far several answers to the same question agree.
struct Agreement {
    double share = 0;  ///< of the samples that have the most frequent final answer, 0 … 1
    std::size_t first = 0;  ///< the first sample that has it
    std::size_t distinct = 0;  ///< different final answers
};
/// Empty final answers agree with nothing. No sample: zeros.
[[nodiscard]] Agreement agreement_of(std::span<const std::string> samples);

}  // namespace leeway::cascade::check
