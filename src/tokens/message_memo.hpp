#pragma once

#include "base/hash.hpp"
#include "tokens/tokenizer.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// Remembers the counts of whole texts by a keyed 128-bit hash: a gateway sees the same system prompts,
/// tools and histories again and again, and hashing them is many times faster than counting. Two texts
/// with one hash would be confused; by chance that takes 2^64 texts, and nobody outside knows the key.
/// Bounded: an entry takes the place of the oldest of four. Thread-safe.
class MessageMemo {
public:
    /// Shorter texts are counted faster than they are looked up.
    static constexpr std::size_t kShortest = 64;

    /// `entries` is rounded up to a power of two, at least 256; an entry takes 24 bytes.
    explicit MessageMemo(std::size_t entries = std::size_t{1} << 16U);

    /// `tokenizer.count(text)`, remembered.
    [[nodiscard]] std::size_t count(Tokenizer& tokenizer, std::string_view text);

    [[nodiscard]] std::uint64_t hits() const noexcept {
        return hits_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t misses() const noexcept {
        return misses_.load(std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t kShards = 64;
    static constexpr std::size_t kWays = 4;
    struct Entry {
        Hash128 hash;
        std::uint64_t count = 0;  ///< and one more, so that 0 is empty
    };
    struct alignas(64) Shard {
        std::mutex mutex;
        std::vector<Entry> entries;  // guarded by mutex
    };
    [[nodiscard]] std::optional<std::size_t> find(const Hash128& key);
    void put(const Hash128& key, std::size_t count);
    [[nodiscard]] Shard& shard_of(const Hash128& key) noexcept {
        return shards_[key.high % kShards];
    }
    [[nodiscard]] static std::size_t bucket_of(const Shard& shard, const Hash128& key) noexcept {
        return key.low & (shard.entries.size() - 1) & ~(kWays - 1);
    }

    std::array<Shard, kShards> shards_;
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint64_t> misses_{0};
};

}  // namespace leeway::tokens
