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
/// Where the ids of a piece are and how many; 0: it is not in the caches, or its ids are not.
struct Found {
    const TokenId* ids;
    std::size_t count;
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
    /// What the caches know of each piece; valid until something is put into them. At ShortPieceCache's
    /// kIds ids can be read (if not meant) wherever `ids` points.
    void (*find)(const TinyPieceCache& tiny, const ShortPieceCache& shorts, const Pieces& pieces,
                 Found* found) noexcept;
};

/// Most pieces that `count` and `find` take.
inline constexpr std::size_t kBatch = 512;

[[nodiscard]] const Kernel& baseline_kernel() noexcept;
/// nullptr where this processor lacks AVX2 or BMI.
[[nodiscard]] const Kernel* avx2_kernel() noexcept;
/// The best one for this processor.
[[nodiscard]] const Kernel& kernel() noexcept;

}  // namespace leeway::tokens::detail
