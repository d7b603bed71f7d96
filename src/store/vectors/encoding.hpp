#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace leeway::store::vectors {

/// Length of a row of `dimension` numbers with its padding.
[[nodiscard]] std::size_t padded(std::size_t dimension) noexcept;

/// `vector` at unit length and padded. One that is nearly of unit length is left bit for bit, one of zeros too.
/// Errors: kInvalidRequest when it has not `dimension` numbers or one that is not finite.
[[nodiscard]] Result<std::vector<float>> to_row(std::span<const float> vector,
                                                std::size_t dimension);

/// IEEE 754 half precision, rounded to nearest even. Too small is 0, too large is infinite.
[[nodiscard]] std::uint16_t to_half(float value) noexcept;
[[nodiscard]] float from_half(std::uint16_t half) noexcept;

/// A row as int8: padded elements of −127 to 127, then what they are to be multiplied by (float), then their sum
/// (int32). Two codes are compared by `Kernel::dot_i8`.
[[nodiscard]] constexpr std::size_t code_bytes(std::size_t padded_length) noexcept {
    return padded_length + sizeof(float) + sizeof(std::int32_t);
}
void encode(std::span<const float> row, std::uint8_t* code) noexcept;

[[nodiscard]] inline const std::int8_t* code_elements(const std::uint8_t* code) noexcept {
    return reinterpret_cast<const std::int8_t*>(code);
}
[[nodiscard]] inline float code_scale(const std::uint8_t* code, std::size_t n) noexcept {
    float scale = 0;
    std::memcpy(&scale, code + n, sizeof scale);
    return scale;
}
[[nodiscard]] inline std::int32_t code_sum(const std::uint8_t* code, std::size_t n) noexcept {
    std::int32_t sum = 0;
    std::memcpy(&sum, code + n + sizeof(float), sizeof sum);
    return sum;
}

}  // namespace leeway::store::vectors
