#include "tokens/kernel.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>

// Only the functions between these lines may use more than the baseline; what headers define inline is
// compiled without it wherever it is not inlined into them.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#endif

namespace leeway::tokens::detail {
namespace {

/// Kinds of the 64 bytes at one place, bit i for byte i.
struct BlockMasks {
    std::uint64_t letter;
    std::uint64_t upper;
    std::uint64_t digit;
    std::uint64_t blank;  ///< white space that does not end a line
    std::uint64_t space;  ///< U+0020, also in `blank`
    std::uint64_t newline;  ///< CR, LF
    std::uint64_t sign;  ///< everything else
};

struct Block {
    __m256i v[2];

    explicit Block(const Byte* at) noexcept
        : v{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32))} {}

    static std::uint64_t bits(__m256i low, __m256i high) noexcept {
        return static_cast<std::uint32_t>(_mm256_movemask_epi8(low)) |
               std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(high))} << 32U;
    }
    [[nodiscard]] std::uint64_t high() const noexcept { return bits(v[0], v[1]); }
    [[nodiscard]] std::uint64_t equal(char byte) const noexcept {
        const __m256i wanted = _mm256_set1_epi8(byte);
        return bits(_mm256_cmpeq_epi8(v[0], wanted), _mm256_cmpeq_epi8(v[1], wanted));
    }
    /// first ≤ x < first + count as one signed comparison, after moving `first` to -128
    static __m256i within(__m256i x, int first, int count) noexcept {
        const __m256i moved = _mm256_add_epi8(x, _mm256_set1_epi8(static_cast<char>(-128 - first)));
        return _mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(-128 + count)), moved);
    }
    [[nodiscard]] std::uint64_t in_range(int first, int count) const noexcept {
        return bits(within(v[0], first, count), within(v[1], first, count));
    }
    [[nodiscard]] BlockMasks masks() const noexcept {
        BlockMasks m{};
        const __m256i bit5 = _mm256_set1_epi8(0x20);
        m.letter = bits(within(_mm256_or_si256(v[0], bit5), 'a', 26),
                        within(_mm256_or_si256(v[1], bit5), 'a', 26));
        m.upper = m.letter & ~bits(_mm256_slli_epi16(v[0], 2), _mm256_slli_epi16(v[1], 2));
        m.digit = in_range('0', 10);
        m.space = equal(' ');
        m.newline = equal('\n') | equal('\r');
        m.blank = (in_range('\t', 5) | m.space) & ~m.newline;
        m.sign = ~(m.letter | m.digit | m.blank | m.newline);
        return m;
    }
};

/// The place of the lowest bit; any number for 0.
inline std::uint32_t first_bit(std::uint64_t bits) noexcept {
    return static_cast<std::uint32_t>(_tzcnt_u64(bits));
}
/// Which entry of a bucket of TinyPieceCache is the key's; count 0: none.
struct TinyHit {
    std::size_t way;
    std::size_t count;
};
inline std::uint64_t tiny_key(std::uint64_t word, std::size_t length) noexcept {
    return _bzhi_u64(word, static_cast<unsigned>(length * 8)) | std::uint64_t{length}
                                                                    << TinyPieceCache::kLengthShift;
}
/// All four entries are compared at once, and nothing depends on a branch.
inline TinyHit probe_tiny(const std::uint64_t* bucket, std::uint64_t key,
                          std::size_t length) noexcept {
    const __m256i all = _mm256_load_si256(reinterpret_cast<const __m256i*>(bucket));
    const __m256i key_bits = _mm256_set1_epi64x(static_cast<long long>(TinyPieceCache::kKeyBits));
    const __m256i equal = _mm256_cmpeq_epi64(_mm256_and_si256(all, key_bits),
                                             _mm256_set1_epi64x(static_cast<long long>(key)));
    const auto ways = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
    const std::size_t way = _tzcnt_u32(ways) & 3U;
    const bool hit = (ways != 0) & (length <= TinyPieceCache::kLongest);
    const std::uint64_t count = bucket[way] >> TinyPieceCache::kCountShift;
    return {way, static_cast<std::size_t>(hit ? count : 0)};
}

#include "tokens/kernel.inc"

constexpr Kernel kKernel = make_kernel("avx2");

}  // namespace
}  // namespace leeway::tokens::detail

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace leeway::tokens::detail {

const Kernel* avx2_kernel() noexcept {
    static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                            __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    return has ? &kKernel : nullptr;
}

}  // namespace leeway::tokens::detail
#else
namespace leeway::tokens::detail {
const Kernel* avx2_kernel() noexcept { return nullptr; }
}  // namespace leeway::tokens::detail
#endif
