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
/// Appends `code_point`, which must be a Unicode scalar value, as UTF-8.
void append_utf8(std::string& out, std::uint32_t code_point);
/// The largest offset ≤ `at` that does not cut a UTF-8 sequence of the valid text `text`.
[[nodiscard]] std::size_t utf8_border(std::string_view text, std::size_t at) noexcept;

/// 2 when a backslash and `letter` are a whole escape, else 0.
[[nodiscard]] inline std::size_t short_escape_length(char letter) noexcept {
    static constexpr auto kLengths = [] {
        std::array<std::uint8_t, 256> table{};
        for (const char c : std::string_view("\"\\/bfnrt")) table[static_cast<std::size_t>(c)] = 2;
        return table;
    }();
    return kLengths[static_cast<unsigned char>(letter)];
}

/// Checks the escape at the front of `text` (which begins with a backslash): its length, or 0 when it is
/// malformed or half of a surrogate pair.
[[nodiscard]] std::size_t escape_length(std::string_view text) noexcept;

/// Appends the meaning of `raw`, the bytes between the quotes of a JSON string. False on a malformed
/// escape or a lone surrogate; `out` then ends in an unspecified part of it.
[[nodiscard]] bool append_unescaped(std::string& out, std::string_view raw);
/// The same as a new string.
[[nodiscard]] std::optional<std::string> unescape(std::string_view raw);

}  // namespace leeway::json
