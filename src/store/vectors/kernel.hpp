#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace leeway::store::vectors {

/// Numbers of a row are padded with zeros to a multiple of this.
inline constexpr std::size_t kPadding = 64;

/// Products of two rows, compiled for one kind of processor. `n`: a multiple of kPadding. Nothing need be aligned.
/// Those of int8 are the same for all kinds; sums of floats differ in their last bits.
struct Kernel {
    const char* name;
    float (*dot_f32)(const float* a, const float* b, std::size_t n) noexcept;
    /// `b`: IEEE 754 half precision.
    float (*dot_f16)(const float* a, const std::uint16_t* b, std::size_t n) noexcept;
    /// Elements lie in −127 to 127; `sum_b` is the sum of those of `b`.
    std::int32_t (*dot_i8)(const std::int8_t* a, const std::int8_t* b, std::size_t n,
                           std::int32_t sum_b) noexcept;
};

[[nodiscard]] const Kernel& portable_kernel() noexcept;
/// nullptr where this processor lacks AVX2, FMA or F16C.
[[nodiscard]] const Kernel* avx2_kernel() noexcept;
/// nullptr where this processor lacks AVX-512 with VNNI.
[[nodiscard]] const Kernel* avx512_kernel() noexcept;
/// The best one for this processor.
[[nodiscard]] const Kernel& kernel() noexcept;

/// The dot product of two vectors of any length, by kernel(); of the shorter length where they differ.
[[nodiscard]] float dot(std::span<const float> a, std::span<const float> b) noexcept;

}  // namespace leeway::store::vectors
