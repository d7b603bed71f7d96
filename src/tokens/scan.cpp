#include "tokens/scan.hpp"

#include "tokens/scan_blocks.hpp"
#include "tokens/scan_rules.hpp"

#include <array>
#include <cstring>

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

}  // namespace

#ifdef LEEWAY_TOKENS_BLOCKS
template <class Family>
std::size_t PieceScanner::by_blocks(PieceScanner& scanner, std::uint32_t* ends,
                                    std::size_t capacity) noexcept {
    const Byte* at = scanner.at_;
    const Byte* const begin = scanner.begin_;
    const Byte* const end = scanner.end_;
    std::uint32_t* out = ends;
    std::uint32_t* const last = ends + capacity - 64;  // a block holds at most 64 pieces
    while (at != end && out <= last) {
        if (*at < 0x80) {
            const auto left = static_cast<std::size_t>(end - at);
            unsigned valid = 64;
            alignas(16) std::array<Byte, 64> tail;
            const Byte* bytes = at;
            if (left < 64) {
                tail = {};
                std::memcpy(tail.data(), at, left);
                bytes = tail.data();
                valid = static_cast<unsigned>(left);
            }
            const detail::Block block(bytes);
            if (const std::uint64_t high = block.high(); high != 0) {
                valid = static_cast<unsigned>(std::countr_zero(high));
            }
            if (valid >= 4) {
                std::uint64_t starts = detail::piece_starts<Family>(block, valid) & ~std::uint64_t{1};
                if (starts != 0) {
                    const auto base = static_cast<std::uint32_t>(at - begin);
                    at += 63 - std::countl_zero(starts);
                    // Writing a few too many costs less than a loop whose length nobody can predict.
                    const int count = std::popcount(starts);
                    for (int done = 0; done < count; done += 8) {
                        for (int i = 0; i < 8; ++i) {
                            out[done + i] = base + static_cast<std::uint32_t>(std::countr_zero(
                                                       starts | std::uint64_t{1} << 63U));
                            starts &= starts - 1;
                        }
                    }
                    out += count;
                    if (valid == 64) continue;
                }
            }
        }
        at = scanner.rule_(at, end);
        *out++ = static_cast<std::uint32_t>(at - begin);
    }
    scanner.at_ = at;
    return static_cast<std::size_t>(out - ends);
}
#endif

PieceScanner::PieceScanner(Grammar grammar, std::string_view text) noexcept
    : begin_(reinterpret_cast<const Byte*>(text.data())),
      end_(begin_ + text.size()),
      at_(begin_),
      rule_(rule_of(grammar)),
      blocks_(nullptr) {
#ifdef LEEWAY_TOKENS_BLOCKS
    switch (grammar) {
        case Grammar::kCl100k:
        case Grammar::kLlama3: blocks_ = &by_blocks<detail::Cl100kFamily>; break;
        case Grammar::kO200k: blocks_ = &by_blocks<detail::O200kFamily>; break;
        case Grammar::kQwen2: blocks_ = &by_blocks<detail::Qwen2Family>; break;
        case Grammar::kTekken: blocks_ = &by_blocks<detail::TekkenFamily>; break;
        case Grammar::kNone:
        case Grammar::kGpt2:
        case Grammar::kSmolLm2:
        case Grammar::kDeepSeek3: break;
    }
#endif
}

std::size_t PieceScanner::next(std::uint32_t* ends, std::size_t capacity) noexcept {
    if (blocks_ != nullptr) return blocks_(*this, ends, capacity);
    std::size_t count = 0;
    while (at_ != end_ && count < capacity) {
        at_ = rule_(at_, end_);
        ends[count++] = static_cast<std::uint32_t>(at_ - begin_);
    }
    return count;
}

std::size_t piece_end(Grammar grammar, std::string_view text, std::size_t start) noexcept {
    const Byte* const begin = reinterpret_cast<const Byte*>(text.data());
    return static_cast<std::size_t>(rule_of(grammar)(begin + start, begin + text.size()) - begin);
}

}  // namespace leeway::tokens
