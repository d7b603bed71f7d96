#include "store/vectors/kernel.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

// Only the functions between these lines may use more than the baseline.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vnni"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vnni")
#endif

namespace leeway::store::vectors {
namespace {

float dot_f32(const float* a, const float* b, std::size_t n) noexcept {
    __m512 s0 = _mm512_setzero_ps();
    __m512 s1 = _mm512_setzero_ps();
    __m512 s2 = _mm512_setzero_ps();
    __m512 s3 = _mm512_setzero_ps();
    for (std::size_t i = 0; i < n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

__m512 halves(const std::uint16_t* at) noexcept {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

float dot_f16(const float* a, const std::uint16_t* b, std::size_t n) noexcept {
    __m512 s0 = _mm512_setzero_ps();
    __m512 s1 = _mm512_setzero_ps();
    for (std::size_t i = 0; i < n; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), halves(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), halves(b + i + 16), s1);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

// The instruction multiplies unsigned by signed bytes: a + 128 is taken for a, and 128 · sum(b) off again.
std::int32_t dot_i8(const std::int8_t* a, const std::int8_t* b, std::size_t n,
                    std::int32_t sum_b) noexcept {
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
    __m512i s0 = _mm512_setzero_si512();
    __m512i s1 = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        s0 = _mm512_dpbusd_epi32(s0, _mm512_xor_si512(_mm512_loadu_si512(a + i), sign),
                                 _mm512_loadu_si512(b + i));
        s1 = _mm512_dpbusd_epi32(s1, _mm512_xor_si512(_mm512_loadu_si512(a + i + 64), sign),
                                 _mm512_loadu_si512(b + i + 64));
    }
    if (i < n) {
        s0 = _mm512_dpbusd_epi32(s0, _mm512_xor_si512(_mm512_loadu_si512(a + i), sign),
                                 _mm512_loadu_si512(b + i));
    }
    // A sum out of a damaged file may be any number: it wraps.
    const auto sum = static_cast<std::uint32_t>(_mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1)));
    return static_cast<std::int32_t>(sum - 128U * static_cast<std::uint32_t>(sum_b));
}

constexpr Kernel kAvx512{"avx512", &dot_f32, &dot_f16, &dot_i8};

}  // namespace
}  // namespace leeway::store::vectors

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace leeway::store::vectors {

const Kernel* avx512_kernel() noexcept {
    static const bool has = __builtin_cpu_supports("avx512f") &&
                            __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vnni");
    return has ? &kAvx512 : nullptr;
}

}  // namespace leeway::store::vectors
#else
namespace leeway::store::vectors {
const Kernel* avx512_kernel() noexcept { return nullptr; }
}  // namespace leeway::store::vectors
#endif
