#include "methods/agent_cache/disk_index.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace leeway::agent_cache {
namespace {

constexpr std::size_t kFirstSlots = 64;

std::uint32_t seconds_up(std::int64_t unix_ms) noexcept {
    const std::int64_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(unix_ms / 1000 + (unix_ms % 1000 > 0 ? 1 : 0), 1, most));
}

}  // namespace

DiskIndex::DiskIndex() : seed_(fast_random() | 1) {}

DiskIndex::Slot DiskIndex::slot_of(const Sha256& key, std::uint32_t expires_s) noexcept {
    Slot slot;
    std::memcpy(&slot.low, key.data() + 8, sizeof slot.low);
    std::memcpy(&slot.high, key.data() + 12, sizeof slot.high);
    slot.expires_s = expires_s;
    return slot;
}

std::size_t DiskIndex::Shard::home(const Slot& slot, std::uint64_t seed) const noexcept {
    const std::uint64_t mixed = (std::uint64_t{slot.high} << 32 | slot.low) * seed;
    return static_cast<std::size_t>(mixed >> 32) & (slots.size() - 1);
}

std::size_t DiskIndex::Shard::seek(const Slot& wanted, std::uint64_t seed) const noexcept {
    std::size_t at = home(wanted, seed);
    while (slots[at].expires_s != 0 &&
           (slots[at].low != wanted.low || slots[at].high != wanted.high)) {
        at = (at + 1) & (slots.size() - 1);
    }
    return at;
}

void DiskIndex::Shard::remove(std::size_t at, std::uint64_t seed) noexcept {
    const std::size_t mask = slots.size() - 1;
    for (std::size_t next = (at + 1) & mask; slots[next].expires_s != 0; next = (next + 1) & mask) {
        // May move back only to a place at or after its home, counted around the end.
        if (((next - home(slots[next], seed)) & mask) >= ((next - at) & mask)) {
            slots[at] = slots[next];
            at = next;
        }
    }
    slots[at] = Slot{};
    --used;
}

void DiskIndex::Shard::grow(std::uint64_t seed) {
    const std::vector<Slot> old =
        std::exchange(slots, std::vector<Slot>(std::max(kFirstSlots, slots.size() * 2)));
    for (const Slot& slot : old) {
        if (slot.expires_s != 0) slots[seek(slot, seed)] = slot;
    }
}

bool DiskIndex::contains(const Sha256& key, std::int64_t now_unix_ms) {
    Shard& at = shard(key);
    const std::scoped_lock lock(at.mutex);
    if (at.used == 0) return false;
    const Slot& slot = at.slots[at.seek(slot_of(key, 0), seed_)];
    const bool here = slot.expires_s != 0 && std::int64_t{slot.expires_s} * 1000 > now_unix_ms;
    if (here) ++at.hits;
    return here;
}

void DiskIndex::set(const Sha256& key, std::int64_t expires_unix_ms) {
    const Slot slot = slot_of(key, seconds_up(expires_unix_ms));
    Shard& at = shard(key);
    const std::scoped_lock lock(at.mutex);
    if ((at.used + 1) * 4 > at.slots.size() * 3) at.grow(seed_);
    Slot& place = at.slots[at.seek(slot, seed_)];
    if (place.expires_s == 0) ++at.used;
    place = slot;
}

void DiskIndex::erase(const Sha256& key) {
    Shard& at = shard(key);
    const std::scoped_lock lock(at.mutex);
    if (at.used == 0) return;
    const std::size_t place = at.seek(slot_of(key, 0), seed_);
    if (at.slots[place].expires_s != 0) at.remove(place, seed_);
}

void DiskIndex::clear() {
    for (Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        at.slots = std::vector<Slot>();
        at.used = 0;
    }
}

std::uint64_t DiskIndex::size() const {
    std::uint64_t sum = 0;
    for (const Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        sum += at.used;
    }
    return sum;
}

std::uint64_t DiskIndex::hits() const {
    std::uint64_t sum = 0;
    for (const Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        sum += at.hits;
    }
    return sum;
}

std::uint64_t DiskIndex::bytes() const {
    std::uint64_t sum = sizeof *this;
    for (const Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        sum += at.slots.capacity() * sizeof(Slot);
    }
    return sum;
}

}  // namespace leeway::agent_cache
