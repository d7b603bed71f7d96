#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway {

/// ASCII only, on purpose: header names and identifiers are ASCII.
[[nodiscard]] constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
[[nodiscard]] constexpr bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    }
    return true;
}
/// Without spaces and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;
/// Whether a comma-separated list, as headers have it, holds `word`; case does not count.
[[nodiscard]] bool list_has(std::string_view list, std::string_view word) noexcept;
/// A whole decimal number without sign, or nullopt (also on overflow).
[[nodiscard]] std::optional<std::uint64_t> parse_u64(std::string_view text) noexcept;
/// The candidate with the smallest edit distance to `word`, if it is near enough to be a typo
/// (Damerau–Levenshtein, at most a third of the length, rounded up).
[[nodiscard]] std::optional<std::string> nearest(std::string_view word,
                                                 std::span<const std::string> candidates);
/// The lines of `text`, without their ends; `join_lines` puts them together again.
[[nodiscard]] std::vector<std::string> split_lines(std::string_view text);
[[nodiscard]] std::string join_lines(std::span<const std::string> lines);
/// "1.5 KiB" and the like.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

}  // namespace leeway
