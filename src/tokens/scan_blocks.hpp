#pragma once

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#define LEEWAY_TOKENS_BLOCKS 1
#endif

// The fast lane for ASCII: 64 bytes become bit masks, one for each kind of character, and the starts of
// all pieces among them follow by algebra on the masks (the idea of simdjson and gigatoken; the algebra
// here is derived from the rules in scan_rules.hpp and tested against them). A block begins at the start
// of a piece, so nothing is carried from block to block.

#ifdef LEEWAY_TOKENS_BLOCKS
namespace leeway::tokens::detail {

/// Kinds of the 64 bytes at one place, bit i for byte i.
struct BlockMasks {
    std::uint64_t letter;
    std::uint64_t upper;
    std::uint64_t digit;
    std::uint64_t blank;    ///< white space that does not end a line
    std::uint64_t space;    ///< U+0020, also in `blank`
    std::uint64_t newline;  ///< CR, LF
    std::uint64_t sign;     ///< everything else
};

inline std::uint64_t bytes_equal(const __m128i (&v)[4], char byte) noexcept {
    const __m128i wanted = _mm_set1_epi8(byte);
    std::uint64_t mask = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const auto bits = static_cast<std::uint16_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], wanted)));
        mask |= std::uint64_t{bits} << (16 * i);
    }
    return mask;
}

struct Block {
    __m128i v[4];

    explicit Block(const unsigned char* at) noexcept {
        for (unsigned i = 0; i < 4; ++i) {
            v[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * std::size_t{i}));
        }
    }
    [[nodiscard]] std::uint64_t equal(char byte) const noexcept { return bytes_equal(v, byte); }

    /// The bytes that are not ASCII.
    [[nodiscard]] std::uint64_t high() const noexcept {
        std::uint64_t mask = 0;
        for (unsigned i = 0; i < 4; ++i) {
            const auto bits = static_cast<std::uint16_t>(_mm_movemask_epi8(v[i]));
            mask |= std::uint64_t{bits} << (16 * i);
        }
        return mask;
    }
    [[nodiscard]] BlockMasks masks() const noexcept {
        BlockMasks m{};
        const __m128i bit5 = _mm_set1_epi8(0x20);
        for (unsigned i = 0; i < 4; ++i) {
            const auto put = [i](std::uint64_t& mask, __m128i bytes) {
                const auto bits = static_cast<std::uint16_t>(_mm_movemask_epi8(bytes));
                mask |= std::uint64_t{bits} << (16 * i);
            };
            // first ≤ x < first + count as one signed comparison, after moving `first` to -128
            const auto within = [](__m128i x, int first, int count) {
                return _mm_cmplt_epi8(_mm_add_epi8(x, _mm_set1_epi8(static_cast<char>(-128 - first))),
                                      _mm_set1_epi8(static_cast<char>(-128 + count)));
            };
            const __m128i x = v[i];
            const __m128i letter = within(_mm_or_si128(x, bit5), 'a', 26);
            put(m.letter, letter);
            put(m.upper, _mm_andnot_si128(_mm_slli_epi16(x, 2), letter));
            put(m.digit, within(x, '0', 10));
            const __m128i space = _mm_cmpeq_epi8(x, bit5);
            put(m.space, space);
            put(m.blank, _mm_or_si128(within(x, '\t', 5), space));
            put(m.newline, _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\n')),
                                        _mm_cmpeq_epi8(x, _mm_set1_epi8('\r'))));
        }
        m.blank &= ~m.newline;
        m.sign = ~(m.letter | m.digit | m.blank | m.newline);
        return m;
    }
};

/// What differs between the grammars that have a fast lane.
struct Cl100kFamily {
    static constexpr bool kCamelCase = false;      ///< a capital behind a small letter begins a piece
    static constexpr bool kOwnContraction = true;  ///< 's is a piece; else it belongs to the word before
    static constexpr bool kContractions = true;
    static constexpr bool kSlash = false;  ///< signs take following / as well as line ends
    static constexpr unsigned kDigits = 3;
};
struct Qwen2Family : Cl100kFamily {
    static constexpr unsigned kDigits = 1;
};
struct O200kFamily {
    static constexpr bool kCamelCase = true;
    static constexpr bool kOwnContraction = false;
    static constexpr bool kContractions = true;
    static constexpr bool kSlash = true;
    static constexpr unsigned kDigits = 3;
};
struct TekkenFamily : O200kFamily {
    static constexpr bool kContractions = false;
    static constexpr unsigned kDigits = 1;
};

/// Starts of pieces in the first `valid` bytes (4 to 64), which are ASCII. Bit 0 is one by contract. The
/// bits are right up to the highest one; what begins there is not known to end inside the block.
template <class Family>
std::uint64_t piece_starts(const Block& block, unsigned valid) noexcept {
    const BlockMasks m = block.masks();
    const std::uint64_t known = ~std::uint64_t{0} >> (64 - valid);
    const std::uint64_t letter = m.letter & known;
    const std::uint64_t upper = m.upper & known;
    const std::uint64_t digit = m.digit & known;
    const std::uint64_t blank = m.blank & known;
    const std::uint64_t newline = m.newline & known;
    std::uint64_t sign = m.sign & known;

    // Line ends (and slashes) that belong to the signs before them.
    const std::uint64_t first_taken = newline & (sign << 1U);
    std::uint64_t taken = 0;
    if (first_taken != 0) {
        std::uint64_t wanted = newline;
        if constexpr (Family::kSlash) wanted |= block.equal('/') & known;
        // Adding a bit to a run carries through to its end: all bits behind it change.
        taken = (((wanted + first_taken) ^ wanted) | first_taken) & wanted;
        sign &= ~taken;
    }

    // White space that is left: a run is cut behind its last line end and before its last character.
    const std::uint64_t white = (blank | newline) & ~taken;
    const std::uint64_t white_start = white & ~(white << 1U);
    std::uint64_t starts = white_start;
    starts |= blank & ~(white >> 1U);
    const std::uint64_t blank_start = blank & ~(blank << 1U);
    std::uint64_t after_newline = blank_start & (newline << 1U) & ~(taken << 1U);
    if (after_newline != 0) {
        // Not where another line end follows in the same run.
        std::uint64_t ends = (blank + blank_start) & ~blank & newline;
        while (ends != 0) {
            const std::uint64_t before = blank_start & ((ends & (0 - ends)) - 1);
            after_newline &= ~(std::uint64_t{1} << (63U - static_cast<unsigned>(std::countl_zero(before | 1U))));
            ends &= ends - 1;
        }
        starts |= after_newline;
    }

    // Signs: a space before them belongs to them.
    const std::uint64_t space = m.space & known;
    const std::uint64_t sign_start = sign & ~(sign << 1U) & ~(space << 1U);
    starts |= sign_start;

    // Words: a blank before them belongs to them, and so does a single sign that itself begins a piece.
    const std::uint64_t letter_start = letter & ~(letter << 1U);
    starts |= letter_start & ~(blank << 1U) & ~(sign_start << 1U);
    if constexpr (Family::kCamelCase) starts |= upper & (letter << 1U) & ~(upper << 1U);

    std::uint64_t digits = digit & ~(digit << 1U);
    if constexpr (Family::kDigits == 1) {
        starts |= digit;
    } else {
        const std::uint64_t in_run = digit & (digit << 1U) & (digit << 2U);
        while (digits != 0) {
            starts |= digits;
            digits = (digits << 3U) & in_run;
        }
    }

    if constexpr (Family::kContractions) {
        std::uint64_t quote = sign_start & (letter >> 1U);
        if constexpr (!Family::kOwnContraction) quote &= letter << 1U;
        if (quote != 0) quote &= block.equal('\'');
        if (quote != 0) {
            const auto is = [&block, letter](char c) {
                return (block.equal(c) | block.equal(static_cast<char>(c - 32))) & letter;
            };
            const std::uint64_t e = is('e');
            const std::uint64_t l = is('l');
            const std::uint64_t one = quote & ((is('s') | is('t') | is('m') | is('d')) >> 1U);
            const std::uint64_t two =
                quote & ((((is('r') | is('v')) & (e >> 1U)) | (l & (l >> 1U))) >> 1U);
            const std::uint64_t behind = (one << 2U) | (two << 3U);
            if constexpr (!Family::kOwnContraction) starts &= ~(one | two | (two << 2U));
            starts |= behind & letter;
            if constexpr (!Family::kOwnContraction) {
                // word's's: a contraction follows no contraction. The first such quote begins a piece;
                // what comes behind it waits for the next block.
                const std::uint64_t chained = behind & (one | two);
                if (chained != 0) {
                    const std::uint64_t lowest = chained & (0 - chained);
                    starts = (starts & (lowest - 1)) | lowest;
                }
            }
        }
        if constexpr (!Family::kOwnContraction) {
            // A quote so near the end may be a contraction that the block does not show.
            const std::uint64_t unsure =
                sign_start & (letter << 1U) & (std::uint64_t{3} << (valid - 2U));
            if (unsure != 0) starts &= (unsure & (0 - unsure)) - 1;
        }
    }

    // What the next block would show can still change a run of white space at the end.
    if ((white >> (valid - 1U) & 1U) != 0) {
        const std::uint64_t run = std::uint64_t{1}
                                  << (63U - static_cast<unsigned>(std::countl_zero(white_start)));
        starts &= run | (run - 1);
    }
    return starts | 1U;
}

}  // namespace leeway::tokens::detail
#endif
