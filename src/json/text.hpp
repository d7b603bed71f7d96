#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::json {

/// Length in bytes (1–4) of the valid UTF-8 sequence that `text` begins with; 0: there is none
/// (empty, overlong, surrogate, cut, above U+10FFFF).
[[nodiscard]] std::size_t utf8_length(std::string_view text) noexcept;
/// The code point of the valid sequence of `length` bytes that `text` begins with.
[[nodiscard]] inline std::uint32_t utf8_code(std::string_view text, std::size_t length) noexcept {
    const auto byte = [text](std::size_t i) -> std::uint32_t {
        return static_cast<unsigned char>(text[i]);
    };
    if (length == 1) return byte(0);
    std::uint32_t code = byte(0) & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) code = code << 6U | (byte(i) & 0x3FU);
    return code;
}
/// Appends `code_point`, which must be a Unicode scalar value, as UTF-8.
void append_utf8(std::string& out, std::uint32_t code_point);
/// The largest offset ≤ `at` that does not cut a UTF-8 sequence of the valid text `text`.
[[nodiscard]] std::size_t utf8_border(std::string_view text, std::size_t at) noexcept;

/// What a backslash and `letter` stand for where they are a whole escape, else 0.
[[nodiscard]] inline char short_escape(char letter) noexcept {
    static constexpr auto kMeanings = [] {
        std::array<char, 256> table{};
        constexpr std::string_view kLetters = "\"\\/bfnrt";
        constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
        for (std::size_t i = 0; i < kLetters.size(); ++i)
            table[static_cast<unsigned char>(kLetters[i])] = kMeant[i];
        return table;
    }();
    return kMeanings[static_cast<unsigned char>(letter)];
}

/// The value of a hexadecimal digit; 0xff for any other byte.
inline constexpr std::array<std::uint8_t, 256> kHexDigit = [] {
    constexpr std::string_view kLower = "0123456789abcdef";
    constexpr std::string_view kUpper = "0123456789ABCDEF";
    std::array<std::uint8_t, 256> table{};
    table.fill(0xff);
    for (std::uint8_t value = 0; value < 16; ++value) {
        table[static_cast<unsigned char>(kLower[value])] = value;
        table[static_cast<unsigned char>(kUpper[value])] = value;
    }
    return table;
}();

/// 6 when the six bytes at `escape` are "\uXXXX" for a character that needs no second unit, else 0: then
/// `escape_length` knows.
[[nodiscard]] inline std::size_t unit_escape_length(const char* escape) noexcept {
    const auto digit = [escape](std::size_t i) -> unsigned {
        return kHexDigit[static_cast<unsigned char>(escape[i])];
    };
    const bool hexadecimal = (digit(2) | digit(3) | digit(4) | digit(5)) < 16;
    const bool surrogate = digit(2) == 0xd && digit(3) >= 8;
    return escape[1] == 'u' && hexadecimal && !surrogate ? 6 : 0;
}

/// Checks the escape at the front of `text` (which begins with a backslash): its length, or 0 when it is
/// malformed or half of a surrogate pair.
[[nodiscard]] std::size_t escape_length(std::string_view text) noexcept;
/// Writes what `escape` means, a whole one as `escape_length` measures it, at `out`, which has room for four bytes;
/// returns where it ends.
char* put_unescaped(char* out, std::string_view escape) noexcept;

/// Appends the meaning of `raw`, the bytes between the quotes of a JSON string. False on a malformed
/// escape or a lone surrogate; `out` then ends in an unspecified part of it.
[[nodiscard]] bool append_unescaped(std::string& out, std::string_view raw);
/// The same as a new string.
[[nodiscard]] std::optional<std::string> unescape(std::string_view raw);

}  // namespace leeway::json
