#include "store/vectors/kernel.hpp"

#include "store/vectors/encoding.hpp"

#include <algorithm>
#include <array>

namespace leeway::store::vectors {
namespace {

// Lanes that do not depend on each other, so that any compiler can use the vectors of its baseline.
constexpr std::size_t kLanes = 16;

float sum_of(const std::array<float, kLanes>& lanes) noexcept {
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
}

float dot_f32(const float* a, const float* b, std::size_t n) noexcept {
    std::array<float, kLanes> lanes{};
    for (std::size_t i = 0; i < n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
    }
    return sum_of(lanes);
}

float dot_f16(const float* a, const std::uint16_t* b, std::size_t n) noexcept {
    std::array<float, kLanes> lanes{};
    for (std::size_t i = 0; i < n; i += kLanes) {
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * from_half(b[i + j]);
    }
    return sum_of(lanes);
}

std::int32_t dot_i8(const std::int8_t* a, const std::int8_t* b, std::size_t n,
                    std::int32_t /*sum_b*/) noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::int32_t{a[i]} * std::int32_t{b[i]};
    return sum;
}

constexpr Kernel kPortable{"portable", &dot_f32, &dot_f16, &dot_i8};

}  // namespace

const Kernel& portable_kernel() noexcept { return kPortable; }

const Kernel& kernel() noexcept {
    static const Kernel& chosen = avx512_kernel() != nullptr ? *avx512_kernel()
                                  : avx2_kernel() != nullptr ? *avx2_kernel()
                                                             : portable_kernel();
    return chosen;
}

float dot(std::span<const float> a, std::span<const float> b) noexcept {
    const std::size_t count = std::min(a.size(), b.size());
    const std::size_t whole = count / kPadding * kPadding;
    float sum = whole > 0 ? kernel().dot_f32(a.data(), b.data(), whole) : 0;
    for (std::size_t i = whole; i < count; ++i) sum += a[i] * b[i];
    return sum;
}

}  // namespace leeway::store::vectors
