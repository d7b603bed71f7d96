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

/// What short pieces (1 to 15 bytes) were encoded to before. Fixed size: a new piece takes the place of
/// the older of the two in its bucket. The bytes themselves are the key, so a hit is always right.
/// Not thread-safe.
class ShortPieceCache {
public:
    static constexpr std::size_t kLongest = 15;
    /// Tokens that an entry holds; a piece of more is remembered by its count alone.
    static constexpr std::size_t kIds = 4;

    /// The bytes of a piece, then zeros; its length is the low half of the last byte.
    struct Key {
        std::uint64_t low;
        std::uint64_t high;
    };
    struct Ids {
        TokenId id[kIds];
    };

    /// `slots` is a power of two, at least 2; an entry takes 32 bytes.
    explicit ShortPieceCache(std::size_t slots);

    /// The key of a piece of 1 to 15 bytes at `at`, where 16 bytes can be read.
    [[nodiscard]] static Key key_readable(const char* at, std::size_t length) noexcept {
        // Shifting by the missing bytes drops what is behind the piece.
        Key key;
        std::memcpy(&key.low, at, 8);
        std::memcpy(&key.high, at + 8, 8);
        key.low &= kMasks[length].low;
        key.high = (key.high & kMasks[length].high) | std::uint64_t{length} << 56U;
        return key;
    }
    [[nodiscard]] static Key key_of(std::string_view piece) noexcept {
        char bytes[16] = {};
        std::memcpy(bytes, piece.data(), piece.size());
        return key_readable(bytes, piece.size());
    }

    /// The slot of `key`, or kMissing. A slot stays valid until the next `put`.
    static constexpr std::size_t kMissing = ~std::size_t{0};
    [[nodiscard]] std::size_t find(const Key& key) const noexcept {
        const std::size_t slot = bucket(key);
        const bool first = matches(keys_[slot], key);
        const bool second = matches(keys_[slot + 1], key);
        const std::size_t found = slot + (first ? 0 : 1);
        return first || second ? found : kMissing;
    }
    /// Tokens of the piece in `slot`.
    [[nodiscard]] std::size_t count(std::size_t slot) const noexcept {
        return static_cast<std::size_t>(keys_[slot].high >> 60U);
    }
    /// The ids of the piece in `slot`, of which the first `count` mean something if that is ≤ kIds.
    [[nodiscard]] const Ids& ids(std::size_t slot) const noexcept { return ids_[slot]; }

    /// Remembers a piece that `find` did not know. `count` is 1 to 15; returns its slot.
    std::size_t put(const Key& key, const TokenId* ids, std::size_t count) noexcept;

private:
    static constexpr std::uint64_t kCountBits = std::uint64_t{0xF} << 60U;
    struct Masks {
        Key mask[kLongest + 1];
        const Key& operator[](std::size_t length) const noexcept { return mask[length]; }
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
    [[nodiscard]] std::size_t bucket(const Key& key) const noexcept {
        const std::uint64_t mixed =
            (key.low ^ std::rotl(key.high * 0xA24BAED4963EE407U, 29)) * 0x9E3779B97F4A7C15U;
        return static_cast<std::size_t>(mixed >> shift_) * 2;
    }

    unsigned shift_;
    std::unique_ptr<Key[]> keys_;
    std::unique_ptr<Ids[]> ids_;
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
