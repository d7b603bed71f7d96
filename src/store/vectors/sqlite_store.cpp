#include "store/vectors/sqlite_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace leeway::store::vectors {
namespace {

constexpr std::uint64_t kMostQueuedBytes = 64 << 20;
constexpr std::size_t kMostUses = 65536;  // between two tends
constexpr std::size_t kUrgentOps = 256;
constexpr std::uint64_t kOpBytes = 256;  // of one in the queue, beside what it holds

}  // namespace

Result<std::unique_ptr<VectorStore>> open_vector_store(const VectorStoreOptions& options) {
    if (options.most_entries == 0 || options.most_partition_entries == 0 ||
        options.most_memory_bytes == 0) {
        return fail(ErrorCode::kConfig, "the store of vectors may keep nothing at all",
                    "give it room for entries, or leave out what uses it");
    }
    auto store = std::make_unique<SqliteVectorStore>(options);
    if (auto started = store->start(); !started) {
        spdlog::warn("vectors are kept in memory only: {}", started.error().text());
    }
    return store;
}

std::string SqliteVectorStore::name_of(const Partition& partition) {
    return fmt::format("{} {} {}{}", partition.dimension, partition.key.size(), partition.key,
                       partition.fingerprint);
}

std::uint64_t SqliteVectorStore::op_bytes(const Op& op) noexcept {
    const std::size_t numbers = op.entry.vector ? op.entry.vector->size() : 0;
    return kOpBytes + op.entry.payload.size() + numbers * sizeof(float);
}

SqliteVectorStore::~SqliteVectorStore() {
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    const Error error{ErrorCode::kUnavailable, "the store of vectors is being closed", {}, {}, {}};
    for (const auto& [name, state] : states_) {
        answer(std::exchange(state->waiting, {}), nullptr, &error);
    }
}

SqliteVectorStore::StatePtr SqliteVectorStore::known(const Partition& partition) const {
    const auto found = states_.find(name_of(partition));
    return found == states_.end() ? nullptr : found->second;
}

SqliteVectorStore::StatePtr SqliteVectorStore::known_or_new(const Partition& partition) {
    StatePtr& state = states_[name_of(partition)];
    if (!state) {
        state = std::make_shared<State>();
        state->partition = partition;
        state->number = next_number_++;
        state->loaded = make_loaded(*state);  // there is nothing to load
        by_number_[state->number] = state;
    }
    return state;
}

std::optional<VectorStore::Found> SqliteVectorStore::find(const VectorQuery& query) {
    if (!query.vector) return fail(ErrorCode::kInvalidRequest, "a search without a vector");
    std::shared_ptr<LoadedPartition> loaded;
    {
        const std::scoped_lock lock(mutex_);
        if (const StatePtr state = known(query.partition)) {
            state->searched = ++clock_;
            if (!state->loaded) return std::nullopt;
            loaded = state->loaded;
        }
    }
    searches_.fetch_add(1, std::memory_order_relaxed);
    if (!loaded) return std::vector<Match>{};
    return loaded->index.search(*query.vector, query.k, query.filter);
}

void SqliteVectorStore::search(VectorQuery query, std::function<void(Found)> done) {
    auto found = find(query);
    if (!found) {
        const std::scoped_lock lock(mutex_);
        const StatePtr state = known(query.partition);
        if (state && !state->loaded) {
            state->waiting.push_back({std::move(query), std::move(done)});
            if (!std::exchange(state->is_loading, true)) to_load_.push_back(state);
            wake(true);
            return;
        }
    }
    // Loaded or cleared in between: now it can be answered.
    if (!found) found = find(query);
    done(found ? std::move(*found) : Found(std::vector<Match>{}));
}

void SqliteVectorStore::put(const Partition& partition, VectorEntry entry) {
    if (!entry.vector || entry.vector->empty() || entry.vector->size() != partition.dimension ||
        entry.payload.size() > options_.most_payload_bytes) {
        refused_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    std::shared_ptr<LoadedPartition> loaded;
    {
        // In the index and in the queue in one step: both have them in the order of their stamps.
        const std::scoped_lock lock(mutex_);
        const StatePtr state = known_or_new(partition);
        state->searched = ++clock_;
        loaded = state->loaded;
        const std::uint64_t stamp = next_stamp_++;
        if (loaded && !loaded->index.add(entry.id, *entry.vector, entry.payload, stamp)) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        Op op{.what = Change::kPut, .state = state, .stamp = stamp, .entry = {}};
        op.entry = std::move(entry);
        enqueue(std::move(op));
    }
    if (loaded) builder_.consider(loaded);
}

void SqliteVectorStore::remove(const Partition& partition, std::uint64_t id) {
    std::shared_ptr<LoadedPartition> loaded;
    {
        const std::scoped_lock lock(mutex_);
        const StatePtr state = known(partition);
        if (!state) return;
        loaded = state->loaded;
        if (loaded) (void)loaded->index.remove(id);
        Op op{.what = Change::kRemove, .state = state, .stamp = 0, .entry = {}};
        op.entry.id = id;
        enqueue(std::move(op));
    }
    if (loaded) builder_.consider(loaded);
}

void SqliteVectorStore::touch(const Partition& partition, std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    const StatePtr state = known(partition);
    if (!state || !state->loaded) return;
    const auto now = static_cast<std::uint32_t>(unix_now_s());
    const std::uint64_t stamp = state->loaded->index.touch(id, now);
    if (stamp != 0 && uses_.size() < kMostUses) uses_.push_back({stamp, now});
}

void SqliteVectorStore::clear(std::string_view key_prefix) {
    const std::scoped_lock lock(mutex_);
    for (auto at = states_.begin(); at != states_.end();) {
        const StatePtr state = at->second;
        if (!std::string_view(state->partition.key).starts_with(key_prefix)) {
            ++at;
            continue;
        }
        state->is_cleared = true;
        if (state->loaded) state->loaded->is_forgotten = true;
        state->loaded.reset();
        by_number_.erase(state->number);
        at = states_.erase(at);
        enqueue({.what = Change::kClear, .state = state, .stamp = 0, .entry = {}});
    }
}

void SqliteVectorStore::enqueue(Op op) {
    if (op.what == Change::kPut && op_bytes_ + op_bytes(op) > kMostQueuedBytes) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        // What is on disk under this id is older than what is in memory.
        op.what = Change::kRemove;
        op.entry = {.id = op.entry.id, .vector = nullptr, .payload = {}};
    }
    op_bytes_ += op_bytes(op);
    ops_.push_back(std::move(op));
    wake(ops_.size() >= kUrgentOps);
}

void SqliteVectorStore::wake(bool urgent) {
    // Nobody to wake is the usual case under load, and then no system call is made.
    if (asleep_ || (urgent && napping_)) {
        asleep_ = false;
        napping_ = false;
        changed_.notify_one();
    }
}

VectorStoreStats SqliteVectorStore::stats() const {
    VectorStoreStats stats;
    stats.entries = entries_;
    stats.searches = searches_;
    stats.loads = loads_;
    stats.unloads = unloads_;
    stats.written = written_;
    stats.evicted = evicted_;
    stats.expired = expired_;
    stats.refused = refused_;
    stats.dropped = dropped_;
    stats.damaged = damaged_;
    stats.graphs_built = builder_.built();
    stats.on_disk = on_disk_;
    stats.failing = failing_;
    const std::scoped_lock lock(mutex_);
    stats.partitions = states_.size();
    for (const auto& [name, state] : states_) {
        if (!state->loaded) continue;
        const VectorIndex::Stats of = state->loaded->index.stats();
        ++stats.loaded;
        stats.memory_entries += of.entries;
        stats.memory_bytes += of.bytes;
    }
    return stats;
}

Result<void> SqliteVectorStore::flush(Duration timeout) {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = ++flush_asked_;
    wake(true);
    if (!flushed_.wait_for(lock, timeout, [&] { return flush_done_ >= wanted; })) {
        return fail(ErrorCode::kUnavailable, "the file of vectors is not up to date yet",
                    "the disk is slow; ask again later");
    }
    return {};
}

}  // namespace leeway::store::vectors
