#include "tokens/kernel.hpp"

#include <algorithm>

namespace leeway::tokens::detail {

#if !defined(__SSE2__)
namespace {

const ShortPieceCache::Entry* look_up(const ShortPieceCache& shorts,
                                      std::string_view piece) noexcept {
    if (piece.size() > ShortPieceCache::kLongest) return nullptr;
    return shorts.find(ShortPieceCache::key_of(piece));
}

std::size_t count_known(const TinyPieceCache& /*tiny*/, const ShortPieceCache& shorts,
                        const Pieces& pieces, Span* missed, std::size_t& misses) noexcept {
    std::size_t total = 0;
    misses = 0;
    std::size_t start = pieces.start;
    for (std::size_t i = 0; i < pieces.count; ++i) {
        const std::size_t length = pieces.ends[i] - start;
        const auto* const entry = look_up(shorts, pieces.text.substr(start, length));
        if (entry == nullptr) {
            missed[misses++] = {static_cast<std::uint32_t>(start),
                                static_cast<std::uint32_t>(length)};
        } else {
            total += entry->count();
        }
        start = pieces.ends[i];
    }
    return total;
}

std::size_t encode_known(const TinyPieceCache& /*tiny*/, const ShortPieceCache& shorts,
                         const Pieces& pieces, TokenId*& out) noexcept {
    std::size_t start = pieces.start;
    for (std::size_t i = 0; i < pieces.count; ++i) {
        const auto* const entry =
            look_up(shorts, pieces.text.substr(start, pieces.ends[i] - start));
        if (entry == nullptr || entry->count() > ShortPieceCache::kIds) return i;
        out = std::copy_n(entry->id, entry->count(), out);
        start = pieces.ends[i];
    }
    return pieces.count;
}

constexpr Kernel kKernel{"portable", {}, &count_known, &encode_known};

}  // namespace

const Kernel& baseline_kernel() noexcept { return kKernel; }
#endif

const Kernel& kernel() noexcept {
    static const Kernel& chosen = avx2_kernel() != nullptr ? *avx2_kernel() : baseline_kernel();
    return chosen;
}

}  // namespace leeway::tokens::detail
