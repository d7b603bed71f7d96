#pragma once

#include "tokens/unicode.hpp"

#include <cstddef>

// The rules of the grammars, one character at a time: exact for every text, used where the block
// scanner (scan_blocks.hpp) cannot go. Each function is given the start of a piece and returns its end.
// Sources: tiktoken_ext/openai_public.py (cl100k, o200k, gpt2), the tokenizer.json files of Llama 3,
// Qwen 2, SmolLM2 and DeepSeek V3, and Mistral's tekken.json. Worst case: each character is looked at a
// small constant number of times.

namespace leeway::tokens::detail {

using Byte = unsigned char;

inline constexpr ClassSet kLetters =
    set_of(CharClass::kUpper, CharClass::kLower, CharClass::kLetter);
inline constexpr ClassSet kNumbers = set_of(CharClass::kNumber);
inline constexpr ClassSet kSpaces = set_of(CharClass::kSpace);
inline constexpr ClassSet kMarks = set_of(CharClass::kMark);
/// [^\s\p{L}\p{N}]
inline constexpr ClassSet kMarksAndSigns = ~(kLetters | kNumbers | kSpaces);

constexpr bool is_newline(Byte byte) noexcept { return byte == '\n' || byte == '\r'; }

/// End of the longest run of characters in `set`, at most `most` of them.
inline const Byte* run_end(const Byte* at, const Byte* end, ClassSet set,
                           std::size_t most = ~std::size_t{0}) noexcept {
    while (at < end && most-- > 0) {
        const Char c = char_at(at, end);
        if ((c.set & set) == 0) break;
        at += c.length;
    }
    return at;
}

/// Length of 's 't 'm 'd 're 've 'll at `at`, or 0. In `any_case` U+017F also is an s, as in Unicode
/// case folding.
inline std::size_t contraction(const Byte* at, const Byte* end, bool any_case) noexcept {
    if (end - at < 2 || *at != '\'') return 0;
    const auto fold = [any_case](Byte byte) {
        return any_case && byte >= 'A' && byte <= 'Z' ? static_cast<Byte>(byte + 32) : byte;
    };
    const Byte first = fold(at[1]);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    if (end - at < 3) return 0;
    const Byte second = fold(at[2]);
    if ((first == 'r' || first == 'v') && second == 'e') return 3;
    if (first == 'l' && second == 'l') return 3;
    return any_case && at[1] == 0xC5 && at[2] == 0xBF ? 3 : 0;
}

/// What the rules for white space need to know of a run of it.
struct SpaceRun {
    const Byte* end;
    const Byte* last;  ///< start of its last character
    const Byte* after_newline;  ///< behind its last CR or LF; nullptr: there is none
};
inline SpaceRun space_run(const Byte* at, const Byte* end) noexcept {
    SpaceRun run{at, at, nullptr};
    while (run.end < end) {
        const Char c = char_at(run.end, end);
        if ((c.set & kSpaces) == 0) break;
        run.last = run.end;
        run.end += c.length;
        if (is_newline(static_cast<Byte>(c.code)) && c.code < 128) run.after_newline = run.end;
    }
    return run;
}
/// \s+(?!\S)|\s+ for a run that begins at `at`.
inline const Byte* plain_space(const Byte* at, const Byte* end, const SpaceRun& run) noexcept {
    return run.end == end || run.last == at ? run.end : run.last;
}
/// \s*[\r\n]+|\s+(?!\S)|\s+
inline const Byte* line_space(const Byte* at, const Byte* end) noexcept {
    const SpaceRun run = space_run(at, end);
    return run.after_newline != nullptr ? run.after_newline : plain_space(at, end, run);
}

/// cl100k, Llama 3 and Qwen 2.
template <unsigned kDigits, bool kSpaceToEnd>
const Byte* cl100k_piece(const Byte* at, const Byte* end) noexcept {
    if (const std::size_t n = contraction(at, end, true); n > 0) return at + n;
    const Char c = char_at(at, end);
    const Byte* const next = at + c.length;
    if ((c.set & kLetters) != 0) return run_end(next, end, kLetters);
    if ((c.set & kNumbers) != 0) return run_end(next, end, kNumbers, kDigits - 1);
    if (!is_newline(*at)) {
        const Byte* const word = run_end(next, end, kLetters);
        if (word != next) return word;
    }
    const Byte* const sign = *at == ' ' ? next : at;
    const Byte* signs = run_end(sign, end, kMarksAndSigns);
    if (signs != sign) {
        while (signs < end && is_newline(*signs)) ++signs;
        return signs;
    }
    if constexpr (kSpaceToEnd) {
        const SpaceRun run = space_run(at, end);
        if (run.end == end) return end;
        return run.after_newline != nullptr ? run.after_newline : plain_space(at, end, run);
    } else {
        return line_space(at, end);
    }
}

/// A word of o200k from `at`: [Lu Lt Lm Lo M]*[Ll Lm Lo M]+ into `cased`, else nullptr there; where that
/// fails, [Lu Lt]+ into `upper`. (The other half of the second alternative cannot come to pass: what it
/// allows behind the capitals would have satisfied the first.)
struct Word {
    const Byte* cased = nullptr;
    const Byte* upper = nullptr;
};
inline Word o200k_word(const Byte* at, const Byte* end) noexcept {
    constexpr ClassSet kUpper = set_of(CharClass::kUpper);
    constexpr ClassSet kLower = set_of(CharClass::kLower);
    constexpr ClassSet kBoth = set_of(CharClass::kLetter) | kMarks;
    Word word;
    const Byte* here = at;
    while (here < end) {
        const Char c = char_at(here, end);
        if ((c.set & kLower) != 0) {
            word.cased = run_end(here + c.length, end, kLower | kBoth);
            return word;
        }
        if ((c.set & (kUpper | kBoth)) == 0) break;
        here += c.length;
        // Where no lower case follows, the engine gives capitals back up to the last of these.
        if ((c.set & kBoth) != 0) word.cased = here;
    }
    if (word.cased == nullptr && here != at) word.upper = here;
    return word;
}

/// o200k and tekken.
template <unsigned kDigits, bool kContractions>
const Byte* o200k_piece(const Byte* at, const Byte* end) noexcept {
    const Char c = char_at(at, end);
    const Byte* const next = at + c.length;
    const auto finish = [end](const Byte* word) {
        return kContractions ? word + contraction(word, end, true) : word;
    };
    if ((c.set & kLetters) != 0) {
        const Word word = o200k_word(at, end);
        return finish(word.cased != nullptr ? word.cased : word.upper);
    }
    if ((c.set & kNumbers) != 0) return run_end(next, end, kNumbers, kDigits - 1);
    if (!is_newline(*at)) {
        const Word word = o200k_word(next, end);
        if (word.cased != nullptr) return finish(word.cased);
        if ((c.set & kMarks) != 0) return finish(o200k_word(at, end).cased);
        if (word.upper != nullptr) return finish(word.upper);
    }
    const Byte* const sign = *at == ' ' ? next : at;
    const Byte* signs = run_end(sign, end, kMarksAndSigns);
    if (signs != sign) {
        while (signs < end && (is_newline(*signs) || *signs == '/')) ++signs;
        return signs;
    }
    return line_space(at, end);
}

/// GPT-2. `kSplitDigits`: each number is first cut out by itself, so that the rest ends there (SmolLM2).
template <bool kSplitDigits>
const Byte* gpt2_piece(const Byte* at, const Byte* end) noexcept {
    const Char first = char_at(at, end);
    if (kSplitDigits && (first.set & kNumbers) != 0) return at + first.length;
    if (const std::size_t n = contraction(at, end, false); n > 0) return at + n;
    const Byte* const start = *at == ' ' ? at + 1 : at;
    if (start < end) {
        const Char c = char_at(start, end);
        const Byte* const next = start + c.length;
        if ((c.set & kLetters) != 0) return run_end(next, end, kLetters);
        if ((c.set & kNumbers) != 0) {
            return kSplitDigits ? start : run_end(next, end, kNumbers);
        }
        if ((c.set & kSpaces) == 0) return run_end(next, end, kMarksAndSigns);
    }
    const SpaceRun run = space_run(at, end);
    if (kSplitDigits && run.end < end && (char_at(run.end, end).set & kNumbers) != 0)
        return run.end;
    return plain_space(at, end, run);
}

/// Chinese and Japanese of DeepSeek's second split: U+4E00–U+9FA5, U+3040–U+30FF.
constexpr bool is_cjk(std::uint32_t code) noexcept {
    return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF);
}
constexpr bool is_ascii_letter(Byte byte) noexcept {
    return static_cast<Byte>((byte | 0x20U) - 'a') < 26;
}
const Byte* deepseek3_piece(const Byte* at, const Byte* end) noexcept;

}  // namespace leeway::tokens::detail
