#pragma once

#include "tokens/piece_cache.hpp"
#include "tokens/scan.hpp"

#include <cstddef>
#include <cstdint>

namespace leeway::tokens::detail {

using Byte = unsigned char;
/// A run of neighbouring pieces of a text.
struct Pieces {
    std::string_view text;
    std::size_t start;          ///< of the first one
    const std::uint32_t* ends;  ///< of each
    std::size_t count;
};

/// One piece.
struct Span {
    std::uint32_t start;
    std::uint32_t length;
};
/// The inner loops, compiled for one kind of processor.
struct Kernel {
    const char* name;
    /// Cuts as `PieceScanner::next`; nullptr for grammars without a fast lane.
    using Scan = std::size_t (*)(ScanState&, std::uint32_t* ends, std::size_t capacity) noexcept;
    Scan scan[kLastGrammar + 1];
    /// Tokens of the pieces that the caches know. The others go to `missed`, which has room for all.
    std::size_t (*count)(const TinyPieceCache& tiny, const ShortPieceCache& shorts,
                         const Pieces& pieces, Span* missed, std::size_t& misses) noexcept;
    /// Writes the ids of pieces to `out` and moves it, up to the first piece that the caches do not
    /// hold; returns how many pieces were written. Up to ShortPieceCache::kIds ids more than those may be
    /// overwritten.
    std::size_t (*encode)(const TinyPieceCache& tiny, const ShortPieceCache& shorts,
                          const Pieces& pieces, TokenId*& out) noexcept;
};

/// Most pieces that `count` and `encode` take.
inline constexpr std::size_t kBatch = 512;

[[nodiscard]] const Kernel& baseline_kernel() noexcept;
/// nullptr where this processor lacks AVX2 or BMI.
[[nodiscard]] const Kernel* avx2_kernel() noexcept;
/// The best one for this processor.
[[nodiscard]] const Kernel& kernel() noexcept;

}  // namespace leeway::tokens::detail
