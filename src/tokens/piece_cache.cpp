#include "tokens/piece_cache.hpp"

#include <algorithm>

namespace leeway::tokens {

namespace {

/// For taking the highest bits of a product as the number of one of `buckets` buckets.
unsigned shift_for(std::size_t buckets) noexcept {
    return 64U - static_cast<unsigned>(std::countr_zero(buckets));
}

}  // namespace

TinyPieceCache::TinyPieceCache(std::size_t slots)
    : shift_(shift_for(slots / kWays)),
      buckets_(std::make_unique<Bucket[]>(slots / kWays)),
      ids_(std::make_unique<TokenId[]>(slots * kIds)) {}

void TinyPieceCache::put(std::uint64_t key, const TokenId* ids, std::size_t count) noexcept {
    const std::size_t slot = view().bucket(key);
    std::uint64_t* const entries = buckets_[slot / kWays].entry;
    TokenId* const all_ids = ids_.get() + slot * kIds;
    std::copy_backward(entries, entries + kWays - 1, entries + kWays);
    std::copy_backward(all_ids, all_ids + (kWays - 1) * kIds, all_ids + kWays * kIds);
    entries[0] = key | std::uint64_t{count} << kCountShift;
    std::copy_n(ids, count, all_ids);
}

ShortPieceCache::ShortPieceCache(std::size_t slots)
    : shift_(shift_for(slots / 2)), buckets_(std::make_unique<Bucket[]>(slots / 2)) {}

void ShortPieceCache::put(const Key& key, const TokenId* ids, std::size_t count) noexcept {
    auto* const entries = const_cast<Entry*>(bucket(key));
    entries[1] = entries[0];
    entries[0].key = {key.low, key.high | std::uint64_t{count} << 60U};
    std::copy_n(ids, std::min(count, kIds), entries[0].id);
}

LongPieceCache::LongPieceCache(std::size_t slots) : entries_(slots) {}

const LongPieceCache::Entry* LongPieceCache::find(std::string_view piece,
                                                  std::uint64_t hash) const noexcept {
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
        const Entry& entry = entries_[slot];
        if (entry.length == 0) return nullptr;
        if (entry.hash == hash && entry.length == piece.size() &&
            std::string_view(bytes_).substr(entry.bytes_at, entry.length) == piece) {
            return &entry;
        }
    }
}

void LongPieceCache::put(std::string_view piece, std::uint64_t hash, const TokenId* ids,
                         std::size_t count) {
    if (used_ * 2 >= entries_.size()) {
        std::fill(entries_.begin(), entries_.end(), Entry{});
        bytes_.clear();
        ids_.clear();
        used_ = 0;
    }
    const std::size_t mask = entries_.size() - 1;
    std::size_t slot = hash & mask;
    while (entries_[slot].length != 0) slot = (slot + 1) & mask;
    entries_[slot] = {hash, static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(piece.size()),
                      static_cast<std::uint32_t>(ids_.size()), static_cast<std::uint32_t>(count)};
    bytes_.append(piece);
    ids_.insert(ids_.end(), ids, ids + count);
    ++used_;
}

}  // namespace leeway::tokens
