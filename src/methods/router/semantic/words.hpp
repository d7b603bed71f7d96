#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// The scripts that are told apart, by blocks of Unicode.
enum class Script : std::uint8_t {
    kNone,  ///< digits, punctuation, symbols, emoji
    kLatin,
    kGreek,
    kCyrillic,
    kHebrew,
    kArabic,
    kDevanagari,
    kThai,
    kHangul,
    kKana,
    kHan,
    kOther,  ///< letters of another script
};

/// One character of a text.
struct Letter {
    std::uint32_t code = 0;  ///< in lower case, without Greek and Latin accents
    Script script = Script::kNone;
    bool in_word = false;  ///< a letter or a digit
};

/// Takes the first character off `text`, which must not be empty; a byte that is no UTF-8 counts as a space.
[[nodiscard]] Letter next_letter(std::string_view& text) noexcept;

/// Whether each character of a script is a word, since it puts no spaces.
[[nodiscard]] constexpr bool stands_alone(Script script) noexcept {
    return script == Script::kHan || script == Script::kKana || script == Script::kThai;
}
/// "'" and the typographic one.
[[nodiscard]] constexpr bool is_apostrophe(std::uint32_t code) noexcept {
    return code == '\'' || code == 0x2019;
}
/// One that stands behind its letter.
[[nodiscard]] constexpr bool is_accent(std::uint32_t code) noexcept {
    return code >= 0x300 && code <= 0x36F;
}

/// How much of a text is looked at for its words: a request is told by its beginning, and a megabyte must not cost
/// milliseconds.
inline constexpr std::size_t kMostWordBytes = 16 * 1024;

/// The words of the first `kMostWordBytes` in their order: runs of letters and digits in lower case without accents;
/// an apostrophe within is left out ("don't" is "dont"). Each character of a script that `stands_alone` is a word.
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

/// The words joined by single spaces, with one at each end: what a keyword is searched in.
[[nodiscard]] std::string folded(std::string_view text);

}  // namespace leeway::router
