#pragma once

#include <cstdint>

namespace leeway::tokens {

/// What a character is to the splitting rules. Each has one class; the values are bit numbers of sets.
enum class CharClass : std::uint8_t {
    kOther = 0,        ///< control, format, private use, not assigned; and any byte that is not UTF-8
    kUpper = 1,        ///< Lu, Lt
    kLower = 2,        ///< Ll
    kLetter = 3,       ///< Lm, Lo
    kMark = 4,         ///< M
    kNumber = 5,       ///< N
    kSpace = 6,        ///< White_Space
    kPunctuation = 7,  ///< P
    kSymbol = 8,       ///< S
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

/// The class of any code point below 0x110000.
[[nodiscard]] CharClass class_of(std::uint32_t code) noexcept;
/// Reads the character at `at` < `end`. A byte that does not begin a whole, shortest-form UTF-8
/// sequence of a scalar value is a character of its own, of class kOther.
[[nodiscard]] Char char_at(const unsigned char* at, const unsigned char* end) noexcept;

}  // namespace leeway::tokens
