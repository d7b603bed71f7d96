#include "tokens/scan.hpp"

#include "tokens/kernel.hpp"
#include "tokens/scan_rules.hpp"

#include <cstddef>

namespace leeway::tokens {
namespace detail {
namespace {

/// Reads characters of one of DeepSeek's segments: numbers end all, Chinese and Japanese end the rest
/// and the rest ends them. Outside of it the set is empty.
struct Segment {
    const Byte* end;
    bool cjk;

    [[nodiscard]] Char at(const Byte* here) const noexcept {
        if (here >= end) return {0, 0, 0};
        Char c = char_at(here, end);
        if ((c.set & kNumbers) != 0 || is_cjk(c.code) != cjk) c.set = 0;
        return c;
    }
    [[nodiscard]] const Byte* run(const Byte* here, ClassSet set) const noexcept {
        for (Char c = at(here); (c.set & set) != 0; c = at(here)) here += c.length;
        return here;
    }
};

constexpr ClassSet kWords = kLetters | kMarks;
constexpr ClassSet kSigns = set_of(CharClass::kPunctuation, CharClass::kSymbol);

}  // namespace

const Byte* deepseek3_piece(const Byte* at, const Byte* end) noexcept {
    const Char first = char_at(at, end);
    if ((first.set & kNumbers) != 0) return run_end(at, end, kNumbers, 3);
    const Segment segment{end, is_cjk(first.code)};
    const Byte* const next = at + first.length;
    if ((first.set & kSigns) != 0 && *at < 0x80) {
        const Byte* word = next;
        while (word < end && is_ascii_letter(*word)) ++word;
        if (word != next) return word;
    }
    if ((first.set & kWords) != 0) return segment.run(next, kWords);
    if ((first.set & kSigns) == 0 && !is_newline(*at)) {
        const Byte* const word = segment.run(next, kWords);
        if (word != next) return word;
    }
    const Byte* const sign = *at == ' ' ? next : at;
    const Byte* signs = segment.run(sign, kSigns);
    if (signs != sign) {
        while (signs < end && is_newline(*signs)) ++signs;
        return signs;
    }
    if ((first.set & kSpaces) != 0) {
        SpaceRun run{at, at, nullptr};
        for (Char c = first; (c.set & kSpaces) != 0; c = segment.at(run.end)) {
            run.last = run.end;
            run.end += c.length;
            if (c.code == '\n' || c.code == '\r') run.after_newline = run.end;
        }
        if (run.after_newline != nullptr) return run.after_newline;
        return segment.at(run.end).set == 0 || run.last == at ? run.end : run.last;
    }
    // Nothing matches here: the piece goes on to where something does.
    const Byte* gap = next;
    for (Char c = segment.at(gap); (c.set & set_of(CharClass::kOther)) != 0; c = segment.at(gap)) {
        if ((segment.at(gap + c.length).set & kWords) != 0) break;
        gap += c.length;
    }
    return gap;
}

}  // namespace detail

using detail::Byte;

namespace {

using Rule = const Byte* (*)(const Byte*, const Byte*) noexcept;

const Byte* whole(const Byte* /*at*/, const Byte* end) noexcept { return end; }

Rule rule_of(Grammar grammar) noexcept {
    switch (grammar) {
        case Grammar::kNone: return &whole;
        case Grammar::kGpt2: return &detail::gpt2_piece<false>;
        case Grammar::kCl100k: return &detail::cl100k_piece<3, true>;
        case Grammar::kO200k: return &detail::o200k_piece<3, true>;
        case Grammar::kLlama3: return &detail::cl100k_piece<3, false>;
        case Grammar::kQwen2: return &detail::cl100k_piece<1, false>;
        case Grammar::kSmolLm2: return &detail::gpt2_piece<true>;
        case Grammar::kDeepSeek3: return &detail::deepseek3_piece;
        case Grammar::kTekken: return &detail::o200k_piece<1, false>;
    }
    return &whole;
}

std::size_t scan_by_rules(detail::ScanState& state, std::uint32_t* ends,
                          std::size_t capacity) noexcept {
    std::size_t count = 0;
    while (state.at != state.end && count < capacity) {
        state.at = state.rule(state.at, state.end);
        ends[count++] = static_cast<std::uint32_t>(state.at - state.begin);
    }
    return count;
}

}  // namespace

detail::ScanState scanner_state(Grammar grammar, std::string_view text) noexcept {
    const Byte* const begin = reinterpret_cast<const Byte*>(text.data());
    return {begin, begin + text.size(), begin, rule_of(grammar)};
}

PieceScanner::PieceScanner(Grammar grammar, std::string_view text) noexcept
    : state_(scanner_state(grammar, text)),
      scan_(detail::kernel().scan[static_cast<unsigned>(grammar)]) {
    if (scan_ == nullptr) scan_ = &scan_by_rules;
}

std::size_t PieceScanner::next(std::uint32_t* ends, std::size_t capacity) noexcept {
    return scan_(state_, ends, capacity);
}

std::size_t piece_end(Grammar grammar, std::string_view text, std::size_t start) noexcept {
    const Byte* const begin = reinterpret_cast<const Byte*>(text.data());
    return static_cast<std::size_t>(rule_of(grammar)(begin + start, begin + text.size()) - begin);
}

}  // namespace leeway::tokens
