#pragma once

#include "tokens/vocabulary.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// What pieces of at most seven bytes and two tokens were encoded to: nine of ten of all pieces, in so
/// little memory that it stays near the processor. Four entries to a bucket, a new one takes the place of
/// the oldest. The bytes are the key, so a hit is always right. Not thread-safe.
class TinyPieceCache {
public:
    static constexpr std::size_t kLongest = 7;
    static constexpr std::size_t kIds = 2;
    static constexpr std::size_t kWays = 4;
    /// An entry: the bytes, their number at kLengthShift, the count of tokens at kCountShift. A key is
    /// the same without the count.
    static constexpr unsigned kLengthShift = 56;
    static constexpr unsigned kCountShift = 61;
    static constexpr std::uint64_t kKeyBits = (std::uint64_t{1} << kCountShift) - 1;

    /// `slots` is a power of two from 8 to 2^24; an entry takes 16 bytes.
    explicit TinyPieceCache(std::size_t slots);

    [[nodiscard]] static std::uint64_t key_of(std::string_view piece) noexcept {
        std::uint64_t key = 0;
        std::memcpy(&key, piece.data(), piece.size());
        return key | std::uint64_t{piece.size()} << kLengthShift;
    }
    /// Copies of the pointers, for loops that keep them in registers. Valid as long as the cache.
    struct View {
        const std::uint64_t* entries;
        const TokenId* ids;  ///< kIds of each entry
        unsigned shift;

        /// The first of the kWays entries among which `key` is looked for.
        [[nodiscard]] std::size_t bucket(std::uint64_t key) const noexcept {
            return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15U >> shift) * kWays;
        }
    };
    [[nodiscard]] View view() const noexcept { return {buckets_[0].entry, ids_.get(), shift_}; }

    /// Remembers a piece that has no entry; `count` is 1 or 2.
    void put(std::uint64_t key, const TokenId* ids, std::size_t count) noexcept;

private:
    struct alignas(32) Bucket {
        std::uint64_t entry[kWays];
    };
    unsigned shift_;
    std::unique_ptr<Bucket[]> buckets_;
    std::unique_ptr<TokenId[]> ids_;
};

/// The same for pieces of at most 15 bytes, whatever they became. Two entries to a bucket.
class ShortPieceCache {
public:
    static constexpr std::size_t kLongest = 15;
    /// Tokens that an entry holds; a piece of more is remembered by its count alone.
    static constexpr std::size_t kIds = 4;

    /// The bytes of a piece, then zeros; its length is the low half of the last byte.
    struct alignas(16) Key {
        std::uint64_t low;
        std::uint64_t high;
    };
    struct Entry {
        Key key;  ///< with the count in the high half of the last byte
        TokenId id[kIds];

        [[nodiscard]] std::size_t count() const noexcept {
            return static_cast<std::size_t>(key.high >> 60U);
        }
    };

    /// `slots` is a power of two, at least 4; an entry takes 32 bytes.
    explicit ShortPieceCache(std::size_t slots);

    /// The key of a piece of 1 to 15 bytes at `at`, where 16 bytes can be read.
    [[nodiscard]] static Key key_readable(const char* at, std::size_t length) noexcept {
        Key key;  // NOLINT(cppcoreguidelines-pro-type-member-init)
        std::memcpy(&key.low, at, 8);
        std::memcpy(&key.high, at + 8, 8);
        key.low &= kMasks.mask[length].low;
        key.high = (key.high & kMasks.mask[length].high) | std::uint64_t{length} << 56U;
        return key;
    }
    [[nodiscard]] static Key key_of(std::string_view piece) noexcept {
        char bytes[16] = {};
        std::memcpy(bytes, piece.data(), piece.size());
        return key_readable(bytes, piece.size());
    }
    /// The two entries among which `key` is looked for, on one cache line.
    [[nodiscard]] const Entry* bucket(const Key& key) const noexcept {
        const std::uint64_t mixed =
            (key.low ^ std::rotl(key.high * 0xA24BAED4963EE407U, 29)) * 0x9E3779B97F4A7C15U;
        return buckets_[static_cast<std::size_t>(mixed >> shift_)].entry;
    }
    /// The entry of `key` in its bucket, or nullptr. Valid until the next `put`.
    [[nodiscard]] static const Entry* find(const Key& key, const Entry* bucket) noexcept {
        if (matches(bucket[0].key, key)) return &bucket[0];
        return matches(bucket[1].key, key) ? &bucket[1] : nullptr;
    }
    [[nodiscard]] const Entry* find(const Key& key) const noexcept {
        return find(key, bucket(key));
    }

    /// Remembers a piece that has no entry; `count` is 1 to 15.
    void put(const Key& key, const TokenId* ids, std::size_t count) noexcept;

private:
    static constexpr std::uint64_t kCountBits = std::uint64_t{0xF} << 60U;
    struct Masks {
        Key mask[kLongest + 1];
    };
    static constexpr Masks kMasks = [] {
        Masks out{};
        for (std::size_t n = 0; n <= kLongest; ++n) {
            out.mask[n].low = n >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * n)) - 1;
            out.mask[n].high = n <= 8 ? 0 : (std::uint64_t{1} << (8 * (n - 8))) - 1;
        }
        return out;
    }();
    [[nodiscard]] static bool matches(const Key& entry, const Key& key) noexcept {
        return ((entry.low ^ key.low) | ((entry.high & ~kCountBits) ^ key.high)) == 0;
    }

    struct alignas(64) Bucket {
        Entry entry[2];
    };
    unsigned shift_;
    std::unique_ptr<Bucket[]> buckets_;
};

/// The same for longer pieces. When it is full it starts again from empty.
class LongPieceCache {
public:
    /// Longer pieces are not kept: they hardly ever come again.
    static constexpr std::size_t kLongest = 256;

    explicit LongPieceCache(std::size_t slots);

    struct Entry {
        std::uint64_t hash = 0;
        std::uint32_t bytes_at = 0;
        std::uint32_t length = 0;  ///< 0: empty
        std::uint32_t ids_at = 0;
        std::uint32_t count = 0;
    };
    [[nodiscard]] const Entry* find(std::string_view piece, std::uint64_t hash) const noexcept;
    [[nodiscard]] const TokenId* ids(const Entry& entry) const noexcept {
        return ids_.data() + entry.ids_at;
    }
    void put(std::string_view piece, std::uint64_t hash, const TokenId* ids, std::size_t count);

private:
    std::vector<Entry> entries_;
    std::size_t used_ = 0;
    std::string bytes_;
    std::vector<TokenId> ids_;
};

}  // namespace leeway::tokens
