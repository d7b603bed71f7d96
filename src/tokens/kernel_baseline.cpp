#include "tokens/kernel.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>

namespace leeway::tokens::detail {
namespace {

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

struct Block {
    __m128i v[4];

    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
    explicit Block(const unsigned char* at) noexcept {
        for (unsigned i = 0; i < 4; ++i) {
            v[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * std::size_t{i}));
        }
    }
    [[nodiscard]] std::uint64_t equal(char byte) const noexcept {
        const __m128i wanted = _mm_set1_epi8(byte);
        std::uint64_t mask = 0;
        for (unsigned i = 0; i < 4; ++i) {
            const auto bits =
                static_cast<std::uint16_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], wanted)));
            mask |= std::uint64_t{bits} << (16 * i);
        }
        return mask;
    }

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
                return _mm_cmplt_epi8(
                    _mm_add_epi8(x, _mm_set1_epi8(static_cast<char>(-128 - first))),
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

/// The place of the lowest bit; any number for 0.
inline std::uint32_t first_bit(std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(std::countr_zero(bits | std::uint64_t{1} << 63U));
}
/// Which entry of a bucket of TinyPieceCache is the key's; count 0: none.
struct TinyHit {
    std::size_t way;
    std::size_t count;
};
inline std::uint64_t tiny_key(std::uint64_t word, std::size_t length) noexcept {
    const std::uint64_t kept = word & ~(~std::uint64_t{0} << (8U * (length & 7U)));
    return kept | std::uint64_t{length & 7U} << TinyPieceCache::kLengthShift;
}
inline TinyHit probe_tiny(const std::uint64_t* bucket, std::uint64_t key,
                          std::size_t length) noexcept {
    if (length > TinyPieceCache::kLongest) return {0, 0};
    for (std::size_t way = 0; way < TinyPieceCache::kWays; ++way) {
        if (((bucket[way] ^ key) & TinyPieceCache::kKeyBits) == 0) {
            return {way, static_cast<std::size_t>(bucket[way] >> TinyPieceCache::kCountShift)};
        }
    }
    return {0, 0};
}

#include "tokens/kernel.inc"

constexpr Kernel kKernel = make_kernel("sse2");

}  // namespace

const Kernel& baseline_kernel() noexcept { return kKernel; }

}  // namespace leeway::tokens::detail
#endif
