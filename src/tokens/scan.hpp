#pragma once

#include "tokens/grammar.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leeway::tokens {

namespace detail {
/// A text being cut; at the end `at == end`.
struct ScanState {
    const unsigned char* begin;
    const unsigned char* end;
    const unsigned char* at;
    /// The rules of the grammar: the end of the piece that begins at the first argument.
    const unsigned char* (*rule)(const unsigned char*, const unsigned char*) noexcept;
};
}  // namespace detail

/// Longest text that one scan can take: offsets are 32 bits wide.
inline constexpr std::size_t kMaxTextBytes = 0xFFFF0000U;

/// Cuts a text into the pieces that a grammar names, from front to back. Every byte belongs to exactly
/// one piece; invalid UTF-8 is cut as if each bad byte were a control character. Holds no memory; the
/// text must outlive it and be at most kMaxTextBytes long.
class PieceScanner {
public:
    PieceScanner(Grammar grammar, std::string_view text) noexcept;

    /// Writes the ends (offsets in the text) of the next pieces, at most `capacity` (at least 128), and
    /// returns how many: 0 at the end of the text. Pieces follow each other without gaps.
    std::size_t next(std::uint32_t* ends, std::size_t capacity) noexcept;

private:
    detail::ScanState state_;
    std::size_t (*scan_)(detail::ScanState&, std::uint32_t*, std::size_t) noexcept;
};

/// The state that a scanner of `text` starts with, for the inner loops by themselves.
[[nodiscard]] detail::ScanState scanner_state(Grammar grammar, std::string_view text) noexcept;
/// The end of the piece that begins at `start`, by the rules alone: what `PieceScanner` must agree with.
[[nodiscard]] std::size_t piece_end(Grammar grammar, std::string_view text,
                                    std::size_t start) noexcept;

}  // namespace leeway::tokens
