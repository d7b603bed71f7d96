#include "methods/agent_cache/exact_store.hpp"

#include "methods/agent_cache/answer_disk.hpp"
#include "methods/agent_cache/memory_cache.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace leeway::agent_cache {

ExactStore::ExactStore(std::unique_ptr<MemoryCache> memory, std::uint64_t entry_bytes)
    : entry_bytes_(entry_bytes), memory_(std::move(memory)) {}

ExactStore::~ExactStore() = default;

Result<std::unique_ptr<ExactStore>> ExactStore::open(const ExactStoreOptions& options) {
    if (options.entry_bytes == 0) {
        return fail(ErrorCode::kConfig, "the cache may keep no entry at all: its size limit is 0",
                    "leave the stage out of the routes to switch the cache off");
    }
    auto memory = std::make_unique<MemoryCache>(options.memory_bytes, options.entry_bytes);
    std::unique_ptr<ExactStore> store(new ExactStore(std::move(memory), options.entry_bytes));
    if (options.path.empty() || options.disk_bytes == 0) return store;
    auto disk = AnswerDisk::open(options.path, options.disk_bytes, *store->memory_);
    if (disk) {
        store->disk_ = std::move(*disk);
    } else {
        spdlog::warn("the cache works in memory only: {}", disk.error().text());
    }
    return store;
}

ExactStore::Lookup ExactStore::find(const Sha256& key, std::int64_t now_unix_ms, AnswerPtr& out) {
    out = memory_->find(key, now_unix_ms);
    if (out) return Lookup::kHit;
    if (disk_ && disk_->index().contains(key, now_unix_ms)) return Lookup::kOnDisk;
    return Lookup::kMiss;
}

void ExactStore::load(const Sha256& key, Executor& executor, std::function<void(AnswerPtr)> done) {
    auto deliver = [&executor, done = std::move(done)](AnswerPtr answer) {
        executor.post([done, answer = std::move(answer)] { done(answer); });
    };
    if (!disk_) return deliver(nullptr);
    disk_->load(key, std::move(deliver));
}

PostedValue<AnswerPtr> ExactStore::load(const Sha256& key, Executor& executor) {
    PostedValue<AnswerPtr> loading(executor);
    const auto sender = loading.sender();
    if (disk_) {
        disk_->load(key, [sender](AnswerPtr answer) { sender.send(std::move(answer)); });
    } else {
        sender.send(nullptr);
    }
    return loading;
}

void ExactStore::put(const Sha256& key, AnswerPtr answer) {
    if (!answer || answer->body.size() > entry_bytes_ ||
        answer->expires_unix_ms <= unix_now_us() / 1000) {
        refused_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    memory_->put(key, answer);
    if (disk_) disk_->put(key, std::move(answer));
}

// The disk first: it bars answers that are being loaded from coming back into memory.
void ExactStore::erase(const Sha256& key) {
    if (disk_) disk_->erase(key);
    memory_->erase(key);
}

void ExactStore::invalidate_tenant(std::uint64_t tenant) {
    if (tenant == 0) return;
    if (disk_) disk_->erase_tenant(tenant);
    memory_->erase_tenant(tenant);
}

void ExactStore::clear() {
    if (disk_) disk_->clear();
    memory_->clear();
}

ExactStoreStats ExactStore::stats() const {
    ExactStoreStats stats;
    const MemoryCache::Stats memory = memory_->stats();
    stats.memory_entries = memory.entries;
    stats.memory_bytes = memory.bytes;
    stats.memory_evicted = memory.evicted;
    stats.memory_hits = memory.hits;
    stats.misses = memory.misses;
    stats.refused = refused_.load(std::memory_order_relaxed);
    if (!disk_) return stats;
    const AnswerDisk::Stats disk = disk_->stats();
    const std::uint64_t on_disk = disk_->index().hits();
    stats.misses -= std::min(stats.misses, on_disk);
    stats.disk_entries = disk.entries;
    stats.disk_bytes = disk.bytes;
    stats.disk_hits = disk.hits;
    stats.disk_misses = disk.misses;
    stats.disk_written = disk.written;
    stats.disk_evicted = disk.evicted;
    stats.disk_expired = disk.expired;
    stats.disk_dropped = disk.dropped;
    stats.disk_damaged = disk.damaged;
    stats.disk_on = disk.on;
    stats.disk_failing = disk.failing;
    return stats;
}

Result<void> ExactStore::flush(Duration timeout) {
    if (!disk_) return {};
    return disk_->flush(timeout);
}

}  // namespace leeway::agent_cache
