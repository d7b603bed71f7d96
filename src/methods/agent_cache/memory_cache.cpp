#include "methods/agent_cache/memory_cache.hpp"

#include <utility>

namespace leeway::agent_cache {
namespace {

constexpr std::size_t kMostShards = 16;
constexpr std::int64_t kUseEveryMs = 10 * 60 * 1000;
constexpr std::size_t kMostUses = 4096;  // per shard, between two visits of the cache thread

std::size_t shard_count(std::uint64_t bytes, std::uint64_t entry_bytes) noexcept {
    std::size_t count = kMostShards;
    while (count > 1 && bytes / count < 4 * entry_bytes) count /= 2;
    return count;
}

}  // namespace

MemoryCache::MemoryCache(std::uint64_t bytes, std::uint64_t entry_bytes)
    : shards_(shard_count(bytes, entry_bytes)), shard_bytes_(bytes / shards_.size()) {}

std::uint64_t MemoryCache::cost(const CachedAnswer& answer) noexcept {
    // Control block of the pointer, map node and bucket, three allocations' headers.
    constexpr std::uint64_t kOverhead =
        sizeof(CachedAnswer) + sizeof(Entry) + sizeof(Sha256) + 2 * sizeof(void*) + 72;
    return kOverhead + answer.body.capacity() + answer.model_reported.capacity() +
           answer.finish_reason.capacity();
}

void MemoryCache::Shard::link(Entry& entry) noexcept {
    entry.newer = nullptr;
    entry.older = newest;
    if (newest != nullptr) newest->newer = &entry;
    newest = &entry;
    if (oldest == nullptr) oldest = &entry;
}

void MemoryCache::Shard::unlink(Entry& entry) noexcept {
    (entry.newer != nullptr ? entry.newer->older : newest) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest) = entry.newer;
}

AnswerPtr MemoryCache::Shard::remove(Entry& entry) {
    unlink(entry);
    bytes -= entry.bytes;
    AnswerPtr answer = std::move(entry.answer);
    // A copy: the map must not be given a reference into the node that it frees.
    const Sha256 key = *entry.key;
    entries.erase(key);
    return answer;
}

AnswerPtr MemoryCache::find(const Sha256& key, std::int64_t now_unix_ms) {
    Shard& at = shard(key);
    AnswerPtr expired;  // freed after the lock
    const std::scoped_lock lock(at.mutex);
    const auto found = at.entries.find(key);
    if (found == at.entries.end()) {
        ++at.misses;
        return nullptr;
    }
    Entry& entry = found->second;
    if (entry.answer->expires_unix_ms <= now_unix_ms) {
        ++at.misses;
        expired = at.remove(entry);
        return nullptr;
    }
    ++at.hits;
    if (at.newest != &entry) {
        at.unlink(entry);
        at.link(entry);
    }
    if (now_unix_ms - entry.use_noted_ms >= kUseEveryMs && at.uses.size() < kMostUses) {
        entry.use_noted_ms = now_unix_ms;
        at.uses.push_back({key, now_unix_ms});
    }
    return entry.answer;
}

void MemoryCache::put(const Sha256& key, AnswerPtr answer) {
    const std::uint64_t bytes = cost(*answer);
    const std::int64_t created = answer->created_unix_ms;
    Shard& at = shard(key);
    std::vector<AnswerPtr> removed;  // freed after the lock
    const std::scoped_lock lock(at.mutex);
    if (const auto found = at.entries.find(key); found != at.entries.end()) {
        removed.push_back(at.remove(found->second));
    }
    if (bytes > shard_bytes_) return;
    while (at.bytes + bytes > shard_bytes_) {
        removed.push_back(at.remove(*at.oldest));
        ++at.evicted;
    }
    const auto added = at.entries.try_emplace(key).first;
    Entry& entry = added->second;
    entry.answer = std::move(answer);
    entry.key = &added->first;
    entry.bytes = bytes;
    entry.use_noted_ms = created;
    at.bytes += bytes;
    at.link(entry);
}

void MemoryCache::erase(const Sha256& key) {
    Shard& at = shard(key);
    AnswerPtr removed;
    const std::scoped_lock lock(at.mutex);
    const auto found = at.entries.find(key);
    if (found != at.entries.end()) removed = at.remove(found->second);
}

void MemoryCache::erase_tenant(std::uint64_t tenant) {
    for (Shard& at : shards_) {
        std::vector<AnswerPtr> removed;
        const std::scoped_lock lock(at.mutex);
        for (Entry* entry = at.newest; entry != nullptr;) {
            Entry* const older = entry->older;
            if (entry->answer->tenant == tenant) removed.push_back(at.remove(*entry));
            entry = older;
        }
    }
}

void MemoryCache::clear() {
    for (Shard& at : shards_) {
        std::unordered_map<Sha256, Entry, Sha256Hasher> removed;
        const std::scoped_lock lock(at.mutex);
        removed.swap(at.entries);
        at.newest = nullptr;
        at.oldest = nullptr;
        at.bytes = 0;
    }
}

MemoryCache::Stats MemoryCache::stats() const {
    Stats stats;
    for (const Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        stats.entries += at.entries.size();
        stats.bytes += at.bytes;
        stats.evicted += at.evicted;
        stats.hits += at.hits;
        stats.misses += at.misses;
    }
    return stats;
}

void MemoryCache::take_uses(std::vector<Use>& out) {
    for (Shard& at : shards_) {
        const std::scoped_lock lock(at.mutex);
        out.insert(out.end(), at.uses.begin(), at.uses.end());
        at.uses.clear();
    }
}

}  // namespace leeway::agent_cache
