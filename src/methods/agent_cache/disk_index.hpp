#pragma once

#include "base/hash.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

namespace leeway::agent_cache {

/// Which keys are on disk, and until when: 12 bytes a slot, 16 to 28 a key. Thread-safe, sharded.
/// It keeps 64 bits of each key, so it may rarely (2⁻⁴⁴ for a million keys) claim one that is
/// absent.
class DiskIndex {
public:
    DiskIndex();

    [[nodiscard]] bool contains(const Sha256& key, std::int64_t now_unix_ms);
    /// Inserts or changes. The time is kept in whole seconds, rounded up: the row itself decides.
    void set(const Sha256& key, std::int64_t expires_unix_ms);
    void erase(const Sha256& key);
    void clear();
    [[nodiscard]] std::uint64_t size() const;
    /// How often `contains` was true.
    [[nodiscard]] std::uint64_t hits() const;
    /// Memory of the tables.
    [[nodiscard]] std::uint64_t bytes() const;

private:
    /// Two halves, so that a slot has no padding.
    struct Slot {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        std::uint32_t expires_s = 0;  // 0: the slot is empty
    };
    /// Linear probing with backward shift on erase, at most three quarters full.
    struct Shard {
        mutable std::mutex mutex;
        std::vector<Slot> slots;  // a power of two, or none
        std::size_t used = 0;
        std::uint64_t hits = 0;

        [[nodiscard]] std::size_t home(const Slot& slot, std::uint64_t seed) const noexcept;
        /// The slot of that key, or the empty one where it belongs. Needs `slots`.
        [[nodiscard]] std::size_t seek(const Slot& wanted, std::uint64_t seed) const noexcept;
        void remove(std::size_t at, std::uint64_t seed) noexcept;
        void grow(std::uint64_t seed);
    };

    static constexpr std::size_t kShards = 16;
    [[nodiscard]] Shard& shard(const Sha256& key) noexcept { return shards_[key[31] % kShards]; }
    [[nodiscard]] static Slot slot_of(const Sha256& key, std::uint32_t expires_s) noexcept;

    std::uint64_t seed_;  // odd; nobody outside can aim at one place of the table
    std::array<Shard, kShards> shards_;
};

}  // namespace leeway::agent_cache
