#pragma once

#include <cstddef>
#include <string_view>

namespace leeway::cascade::check {

/// What the wording of an answer says about it.
struct Marks {
    bool empty = false;  ///< nothing but white space
    /// It begins by saying that it cannot or will not answer, in English, German, French, Spanish or Greek.
    bool refuses = false;
    std::size_t hedges = 0;  ///< "I think", "probably", "not sure", …: phrases, each place once
    std::size_t words = 0;
    bool cut =
        false;  ///< it ends inside a fence or with a comma, colon, dash or open bracket: likely cut off

    /// Hedges per hundred words.
    [[nodiscard]] double hedging() const noexcept {
        return words == 0 ? 0 : 100 * static_cast<double>(hedges) / static_cast<double>(words);
    }
};

/// A refusal is looked for in the first 300 bytes only: an answer may speak of one further down.
[[nodiscard]] Marks marks_of(std::string_view answer);

}  // namespace leeway::cascade::check
