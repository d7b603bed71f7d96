#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// Bytes of a text from `begin` to before `end`.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
    [[nodiscard]] bool overlaps(const Span& other) const noexcept {
        return begin < other.end && other.begin < end;
    }
    [[nodiscard]] std::string_view of(std::string_view text) const {
        return text.substr(begin, end - begin);
    }
};

/// A word where it stands.
struct TextWord {
    Span span;
    std::string folded;  ///< as of words_of
    bool capital = false;  ///< begins with an upper-case letter or a digit
    bool after_break = false;  ///< a comma, a full stop, a bracket or the like stands before it
    bool after_quote = false;  ///< an opening quotation mark stands right before it
};

/// The words of the first `kMostWordBytes` of a text. Views nothing.
[[nodiscard]] std::vector<TextWord> text_words(std::string_view text);

/// The first word that begins at `offset` or behind it; the number of words: there is none.
[[nodiscard]] std::size_t word_at(const std::vector<TextWord>& words, std::size_t offset) noexcept;

/// Whether `phrase` stands at word `at`, with no break within it.
[[nodiscard]] bool phrase_at(const std::vector<TextWord>& words, std::size_t at,
                             const std::vector<std::string>& phrase) noexcept;

/// Whether `word` is in a list of words that has a space at each end.
[[nodiscard]] bool is_among(std::string_view list, std::string_view word);

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// What finds something in a text by the places of its words. Both outlive it.
class WordReader {
protected:
    WordReader(std::string_view text, const std::vector<TextWord>& words)
        : text_(text), words_(words) {}
    /// As it is folded; empty: there is none so far back.
    [[nodiscard]] std::string_view word(std::size_t at) const noexcept {
        return at < words_.size() ? std::string_view(words_[at].folded) : std::string_view();
    }
    /// Whether there is one, with no break before it.
    [[nodiscard]] bool joined(std::size_t at) const noexcept {
        return at < words_.size() && !words_[at].after_break;
    }

    const std::string_view text_;
    const std::vector<TextWord>& words_;
};

}  // namespace leeway::router
