#include "methods/router/semantic/arguments/text_words.hpp"

#include "json/text.hpp"
#include "methods/router/semantic/words.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace leeway::router {
namespace {

bool is_quote(std::uint32_t code) noexcept {
    return code == '"' || code == 0x201C || code == 0x201E || code == 0xAB;
}
/// What ends a phrase. A colon introduces a value, and a full stop counts only before a space.
bool is_break(std::uint32_t code) noexcept {
    constexpr std::string_view kBreaks = ",;!?()[]{}<>|\"";
    if (code < 0x20 || code == 0x7F) return true;
    if (code < 0x80) return kBreaks.find(static_cast<char>(code)) != std::string_view::npos;
    // CJK and Arabic commas and full stops, typographic quotation marks, emoji.
    return (code >= 0x3001 && code <= 0x3002) || code == 0xFF0C || code == 0x60C || code == 0x61F ||
           is_quote(code) || code == 0x201D || code == 0xBB || code >= 0x1F000;
}

/// A digit or a capital of ASCII, Latin-1, Greek or Cyrillic.
bool is_capital(std::uint32_t code) noexcept {
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
           (code >= 0xC0 && code <= 0xDE) || (code >= 0x386 && code <= 0x3AB) ||
           (code >= 0x400 && code <= 0x42F);
}

}  // namespace

std::vector<TextWord> text_words(std::string_view text) {
    const std::string_view whole = text.substr(0, kMostWordBytes);
    std::string_view rest = whole;
    std::vector<TextWord> out;
    TextWord word;
    bool after_break = false;
    bool after_quote = false;
    bool dot = false;
    const auto end_word = [&] {
        if (word.folded.empty()) return;
        out.push_back(std::exchange(word, {}));
        after_break = after_quote = false;
    };
    while (!rest.empty()) {
        const std::size_t begin = whole.size() - rest.size();
        const std::string_view before = rest;
        const Letter letter = next_letter(rest);
        const std::size_t end = whole.size() - rest.size();
        if (letter.in_word) {
            if (stands_alone(letter.script)) end_word();
            if (word.folded.empty()) {
                word.span.begin = begin;
                word.after_break = after_break;
                word.after_quote = after_quote;
                word.capital = is_capital(json::utf8_code(before, end - begin));
            }
            json::append_utf8(word.folded, letter.code);
            word.span.end = end;
            if (stands_alone(letter.script)) end_word();
            dot = false;
            continue;
        }
        if (is_accent(letter.code) && !word.folded.empty()) {
            word.span.end = end;
            continue;
        }
        if (is_apostrophe(letter.code) && !word.folded.empty()) continue;
        end_word();
        const bool space = letter.code == ' ' || letter.code == '\n' || letter.code == '\t';
        if (dot && space && (out.empty() || out.back().folded != "st")) after_break = true;
        dot = letter.code == '.';
        // A single quotation mark opens behind a space; else it is an apostrophe.
        const bool single = (letter.code == '\'' || letter.code == 0x2018) &&
                            (begin == 0 || std::string_view(" \n\t(:=").find(whole[begin - 1]) !=
                                               std::string_view::npos);
        after_quote = single || is_quote(letter.code);
        if (after_quote || is_break(letter.code)) after_break = true;
    }
    // What is cut off may be the rest of the last word.
    if (!word.folded.empty() && text.size() > whole.size() && word.span.end == whole.size())
        return out;
    end_word();
    return out;
}

std::size_t word_at(const std::vector<TextWord>& words, std::size_t offset) noexcept {
    const auto at = std::lower_bound(
        words.begin(), words.end(), offset,
        [](const TextWord& word, std::size_t wanted) { return word.span.begin < wanted; });
    return static_cast<std::size_t>(at - words.begin());
}

bool phrase_at(const std::vector<TextWord>& words, std::size_t at,
               const std::vector<std::string>& phrase) noexcept {
    if (at + phrase.size() > words.size()) return false;
    for (std::size_t i = 0; i < phrase.size(); ++i) {
        const TextWord& word = words[at + i];
        if (word.folded != phrase[i] || (i > 0 && word.after_break)) return false;
    }
    return true;
}

bool is_among(std::string_view list, std::string_view word) {
    for (std::size_t at = list.find(word); at != std::string_view::npos;
         at = list.find(word, at + 1)) {
        const bool begins = at > 0 && list[at - 1] == ' ';
        const std::size_t end = at + word.size();
        if (begins && end < list.size() && list[end] == ' ') return true;
    }
    return false;
}

}  // namespace leeway::router
