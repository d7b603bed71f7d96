#pragma once

#include <array>
#include <cstdint>

namespace leeway::tokens {

/// What a character is to the splitting rules. Each has one class; the values are bit numbers of sets.
enum class CharClass : std::uint8_t {
    kOther = 0,  ///< control, format, private use, not assigned; and any byte that is not UTF-8
    kUpper = 1,  ///< Lu, Lt
    kLower = 2,  ///< Ll
    kLetter = 3,  ///< Lm, Lo
    kMark = 4,  ///< M
    kNumber = 5,  ///< N
    kSpace = 6,  ///< White_Space
    kPunctuation = 7,  ///< P
    kSymbol = 8,  ///< S
};

/// A set of classes, one bit each.
using ClassSet = std::uint32_t;
[[nodiscard]] constexpr ClassSet set_of(CharClass c) noexcept {
    return ClassSet{1} << static_cast<unsigned>(c);
}
template <class... More>
[[nodiscard]] constexpr ClassSet set_of(CharClass c, More... more) noexcept {
    return set_of(c) | set_of(more...);
}

/// A character of a text: its class as a set of one, its length in bytes and its code point.
struct Char {
    ClassSet set = 0;
    std::uint32_t length = 1;
    std::uint32_t code = 0;  ///< 0xFFFFFFFF for a byte that is not UTF-8
};

namespace detail {
#include "tokens/unicode_table.inc"

/// Ends the first stage: its last block stands for all behind it.
inline constexpr std::uint32_t kUnicodeBlocks = sizeof kUnicodeStage1;
inline constexpr Char kBadByte{set_of(CharClass::kOther), 1, 0xFFFFFFFFU};

constexpr CharClass class_of(std::uint32_t code) noexcept {
    const std::uint32_t block = code >> kUnicodeBlockBits;
    const std::uint32_t row = kUnicodeStage1[block < kUnicodeBlocks ? block : kUnicodeBlocks - 1];
    const std::uint32_t index =
        (row << kUnicodeBlockBits) | (code & ((1U << kUnicodeBlockBits) - 1));
    return static_cast<CharClass>(kUnicodeStage2[index >> 1U] >> ((index & 1U) * 4) & 15U);
}

inline constexpr std::array<std::uint16_t, 128> kAsciiSets = [] {
    std::array<std::uint16_t, 128> sets{};
    for (std::uint32_t c = 0; c < 128; ++c) {
        sets[c] = static_cast<std::uint16_t>(set_of(class_of(c)));
    }
    return sets;
}();

/// `char_at` for what is neither ASCII nor of three bytes.
[[nodiscard]] Char other_char_at(const unsigned char* at, const unsigned char* end) noexcept;
}  // namespace detail

/// The class of any code point below 0x110000.
[[nodiscard]] constexpr CharClass class_of(std::uint32_t code) noexcept {
    return detail::class_of(code);
}
/// Reads the character at `at` < `end`. A byte that does not begin a whole, shortest-form UTF-8
/// sequence of a scalar value is a character of its own, of class kOther.
[[nodiscard]] inline Char char_at(const unsigned char* at, const unsigned char* end) noexcept {
    const std::uint32_t lead = *at;
    if (lead < 0x80) return {detail::kAsciiSets[lead], 1, lead};
    if ((lead & 0xF0U) != 0xE0) return detail::other_char_at(at, end);
    if (end - at < 3) return detail::kBadByte;
    const std::uint32_t second = at[1] ^ 0x80U;
    const std::uint32_t third = at[2] ^ 0x80U;
    const std::uint32_t code = (lead & 15U) << 12U | second << 6U | third;
    const bool bad = (second | third) > 63U || code < 0x800 || (code >= 0xD800 && code < 0xE000);
    if (bad) return detail::kBadByte;
    return {set_of(detail::class_of(code)), 3, code};
}

}  // namespace leeway::tokens
