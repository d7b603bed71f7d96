#include "store/vectors/encoding.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace leeway::store::vectors {
namespace {

// What models' own normalisation leaves; beyond it the vector is brought to unit length here.
constexpr double kUnitTolerance = 1e-3;

}  // namespace

std::size_t padded(std::size_t dimension) noexcept {
    return (dimension + kPadding - 1) / kPadding * kPadding;
}

Result<std::vector<float>> to_row(std::span<const float> vector, std::size_t dimension) {
    if (vector.size() != dimension) {
        return fail(ErrorCode::kInvalidRequest, "a vector has " + std::to_string(vector.size()) +
                                                    " numbers, those here have " +
                                                    std::to_string(dimension));
    }
    double squares = 0;
    for (const float x : vector) squares += static_cast<double>(x) * static_cast<double>(x);
    if (!std::isfinite(squares)) {
        return fail(ErrorCode::kInvalidRequest, "a vector has a number that is not finite");
    }
    std::vector<float> row(padded(dimension), 0.0F);
    std::copy(vector.begin(), vector.end(), row.begin());
    const double length = std::sqrt(squares);
    if (length > 0 && std::abs(length - 1) > kUnitTolerance) {
        for (float& x : row) x = static_cast<float>(static_cast<double>(x) / length);
    }
    return row;
}

std::uint16_t to_half(float value) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude >= 0x47800000U) {  // 65,536 and more, infinite, not a number
        return static_cast<std::uint16_t>(sign | (magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U));
    }
    if (magnitude < 0x38800000U) {
        // Below the smallest normal half: the float adder rounds to multiples of 2⁻²⁴.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
        return static_cast<std::uint16_t>(
            sign | (std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(0.5F)));
    }
    const std::uint32_t odd = (magnitude >> 13U) & 1U;
    const std::uint32_t rounded = magnitude - 0x38000000U + 0xfffU + odd;
    return static_cast<std::uint16_t>(sign | (rounded >> 13U));
}

float from_half(std::uint16_t half) noexcept {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
    const std::uint32_t rest = half & 0x7fffU;
    if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | (rest & 0x3ffU) << 13U);
    if (rest >= 0x400U) return std::bit_cast<float>(sign | ((rest << 13U) + 0x38000000U));
    constexpr float kStep = 1.0F / (1 << 24);
    return std::bit_cast<float>(sign |
                                std::bit_cast<std::uint32_t>(static_cast<float>(rest) * kStep));
}

void encode(std::span<const float> row, std::uint8_t* code) noexcept {
    float greatest = 0;
    for (const float x : row) greatest = std::max(greatest, std::abs(x));
    const float scale = greatest / 127.0F;
    const float inverse = greatest > 0 ? 127.0F / greatest : 0.0F;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const auto element = static_cast<std::int32_t>(std::lrintf(row[i] * inverse));
        const std::int32_t kept = std::clamp(element, -127, 127);
        sum += kept;
        code[i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(kept));
    }
    std::memcpy(code + row.size(), &scale, sizeof scale);
    std::memcpy(code + row.size() + sizeof scale, &sum, sizeof sum);
}

}  // namespace leeway::store::vectors
