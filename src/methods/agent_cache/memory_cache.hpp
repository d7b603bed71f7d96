#pragma once

#include "base/hash.hpp"
#include "methods/agent_cache/cached_answer.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace leeway::agent_cache {

/// Answers in memory: least recently used ones go when the bytes are over the bound. Thread-safe;
/// split into shards by the key, each with a mutex and its share of the bytes.
class MemoryCache {
public:
    struct Stats {
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
        std::uint64_t evicted = 0;
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
    };
    /// An answer that was used, for the disk's order of eviction.
    struct Use {
        Sha256 key;
        std::int64_t unix_ms;
    };

    /// The shards are so few that each can hold some entries of `entry_bytes`.
    MemoryCache(std::uint64_t bytes, std::uint64_t entry_bytes);

    /// Null: not there, or expired (then it is removed). A hit becomes the most recently used.
    [[nodiscard]] AnswerPtr find(const Sha256& key, std::int64_t now_unix_ms);
    /// Replaces what was there. An answer over a shard's bound is not kept.
    void put(const Sha256& key, AnswerPtr answer);
    void erase(const Sha256& key);
    void erase_tenant(std::uint64_t tenant);
    void clear();
    [[nodiscard]] Stats stats() const;

    /// Uses since the last call; of each entry at most one per ten minutes, bounded.
    void take_uses(std::vector<Use>& out);

    /// What one answer takes in memory, with the map's and the allocator's overhead.
    [[nodiscard]] static std::uint64_t cost(const CachedAnswer& answer) noexcept;

private:
    struct Entry {
        AnswerPtr answer;
        const Sha256* key = nullptr;  // of the map's node
        std::uint64_t bytes = 0;
        std::int64_t use_noted_ms = 0;
        Entry* newer = nullptr;
        Entry* older = nullptr;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<Sha256, Entry, Sha256Hasher> entries;
        Entry* newest = nullptr;
        Entry* oldest = nullptr;
        std::uint64_t bytes = 0;
        std::uint64_t evicted = 0;
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
        std::vector<Use> uses;

        void link(Entry& entry) noexcept;
        void unlink(Entry& entry) noexcept;
        AnswerPtr remove(Entry& entry);
    };

    [[nodiscard]] Shard& shard(const Sha256& key) noexcept {
        // The last byte: the maps' buckets go by the first eight.
        return shards_[key.back() & (shards_.size() - 1)];
    }

    std::vector<Shard> shards_;  // a power of two
    std::uint64_t shard_bytes_;
};

}  // namespace leeway::agent_cache
