#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::agent_cache::semantic {

/// A word, number, ideograph or sign of arithmetic of a text.
struct Word {
    std::string lower;  ///< without apostrophes: "don't" is "dont", "what's" is "what"
    bool capital = false;  ///< begins with one
    bool all_capitals = false;  ///< of two letters or more
    bool number = false;  ///< begins with a digit
    bool digits = false;  ///< has one
    bool starts_sentence = false;
    bool quoted = false;
    char currency =
        0;  ///< of a number: '$' … as it stands before or after: u(sd), e(ur), g(bp), i(nr), j(py)
    bool percent = false;
    bool negative = false;  ///< of a number: a minus stands before it
};

struct WordList {
    std::vector<Word> words;
    std::uint16_t scripts = 0;  ///< a bit for each script that letters come from
    bool question_mark = false;
};

/// Splits at most the first 8 KiB of `text`. Apostrophes, dots and commas between
/// digits, and the signs of "c++" and "c#" are inside words.
[[nodiscard]] WordList split_words(std::string_view text);

/// `word` without English marks of plural and verb forms.
[[nodiscard]] std::string stem_of(std::string_view word);

}  // namespace leeway::agent_cache::semantic
