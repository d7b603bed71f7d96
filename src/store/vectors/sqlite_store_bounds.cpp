// What runs on thread "vectors" and keeps the store within its bounds.

#include "store/vectors/sqlite_store.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace leeway::store::vectors {
namespace {

constexpr int kEraseRows = 256;  // per transaction: a load waits no longer than that takes
constexpr std::size_t kEvictAtOnce = 256;

}  // namespace

void SqliteVectorStore::forget(const VectorFile::Erased& erased) {
    shrunk_.push_back(erased.partition);
    std::shared_ptr<LoadedPartition> loaded;
    {
        const std::scoped_lock lock(mutex_);
        const auto state = by_number_.find(erased.partition);
        if (state == by_number_.end()) return;
        loaded = state->second->loaded;
        if (loaded) (void)loaded->index.remove(erased.id, erased.stamp);
    }
    if (loaded) builder_.consider(loaded);
}

/// With the lock held. Null: it has something, something is on its way to it, or it is not known.
SqliteVectorStore::StatePtr SqliteVectorStore::empty_in_memory(std::int64_t number) const {
    const auto found = by_number_.find(number);
    if (found == by_number_.end()) return nullptr;
    const StatePtr& state = found->second;
    if (state->is_loading || !state->waiting.empty()) return nullptr;
    if (state->loaded && state->loaded->index.size() > 0) return nullptr;
    const bool is_coming =
        std::any_of(ops_.begin(), ops_.end(), [&](const Op& op) { return op.state == state; });
    return is_coming ? nullptr : state;
}

Result<void> SqliteVectorStore::drop_empty() {
    std::vector<std::int64_t> numbers = std::exchange(shrunk_, {});
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const std::int64_t number : numbers) {
        {
            const std::scoped_lock lock(mutex_);
            if (!empty_in_memory(number)) continue;
        }
        // Nobody else writes to the file. One who puts from here on has it added again, by the same number.
        if (file_) {
            const auto empty = file_->is_empty(number);
            if (!empty) return fail(empty.error());
            if (!*empty) continue;
            if (auto done = file_->forget_partition(number); !done) return done;
        }
        const std::scoped_lock lock(mutex_);
        const StatePtr state = empty_in_memory(number);
        if (!state) continue;
        state->is_cleared = true;
        if (state->loaded) state->loaded->is_forgotten = true;
        state->loaded.reset();
        by_number_.erase(number);
        states_.erase(name_of(state->partition));
        if (!options_.path.empty()) (void)std::remove(graph_path(number).c_str());
    }
    return {};
}

/// Down to 95 % of the bound, so that it is not at it again with the next entry.
void SqliteVectorStore::bound_partition(const StatePtr& state) {
    std::shared_ptr<LoadedPartition> loaded;
    {
        const std::scoped_lock lock(mutex_);
        loaded = state->loaded;
    }
    const std::uint64_t most = options_.most_partition_entries;
    if (!loaded || loaded->index.size() <= most) return;
    evict_oldest_of(state, loaded, loaded->index.size() - (most - most / 20));
}

void SqliteVectorStore::evict_oldest_of(const StatePtr& state,
                                        const std::shared_ptr<LoadedPartition>& loaded,
                                        std::size_t count) {
    const auto oldest = loaded->index.oldest(count);
    for (std::size_t i = 0; i < oldest.size();) {
        // A piece at a time: whoever puts waits for it.
        const std::scoped_lock lock(mutex_);
        for (const std::size_t end = std::min(i + kEvictAtOnce, oldest.size()); i < end; ++i) {
            if (!loaded->index.remove(oldest[i].id, oldest[i].stamp)) continue;
            Op op{.what = Change::kRemove, .state = state, .stamp = 0, .entry = {}};
            op.entry.id = oldest[i].id;
            enqueue(std::move(op));
            evicted_ += 1;
        }
    }
    builder_.consider(loaded);
}

void SqliteVectorStore::bound_memory() {
    StatePtr only;
    std::shared_ptr<LoadedPartition> too_large;
    {
        const std::scoped_lock lock(mutex_);
        struct Loaded {
            StatePtr state;
            std::uint64_t bytes;
        };
        std::vector<Loaded> all;
        std::uint64_t sum = 0;
        for (const auto& [name, state] : states_) {
            if (!state->loaded) continue;
            all.push_back({state, state->loaded->index.stats().bytes});
            sum += all.back().bytes;
        }
        if (sum <= options_.most_memory_bytes) return;
        std::sort(all.begin(), all.end(), [](const Loaded& a, const Loaded& b) {
            return a.state->searched < b.state->searched;
        });
        for (std::size_t i = 0; i + 1 < all.size() && sum > options_.most_memory_bytes; ++i) {
            const StatePtr& state = all[i].state;
            sum -= all[i].bytes;
            unloads_ += 1;
            if (!file_) {
                evicted_ += state->loaded->index.size();
                by_number_.erase(state->number);
                states_.erase(name_of(state->partition));
            }
            state->loaded.reset();
        }
        only = all.back().state;
        too_large = only->loaded;
    }
    // The one that is used now is too large by itself. Its dead do not count: they are on their way out.
    const VectorIndex::Stats stats = too_large->index.stats();
    const double living =
        static_cast<double>(stats.bytes) * static_cast<double>(stats.entries) /
        static_cast<double>(std::max<std::uint64_t>(1, stats.entries + stats.dead));
    if (living > static_cast<double>(options_.most_memory_bytes)) {
        evict_oldest_of(only, too_large, stats.entries / 20 + 1);
    }
}

Result<void> SqliteVectorStore::erase_left_behind() {
    if (!file_ || left_behind_.empty()) return {};
    const auto erased = file_->erase_of(left_behind_.back(), 4 * kEraseRows);
    if (!erased) return fail(erased.error());
    failing_ = false;
    less_entries(static_cast<std::uint64_t>(*erased));
    if (*erased < 4 * kEraseRows) left_behind_.pop_back();
    return left_behind_.empty() ? file_->shrink() : Result<void>();
}

Result<void> SqliteVectorStore::evict() {
    const std::uint64_t most = options_.most_entries;
    const std::uint64_t goal = most - most / 20;
    if (!file_ || (entries_ <= most && (!more_to_evict_ || entries_ <= goal))) {
        more_to_evict_ = false;
        return {};
    }
    more_to_evict_ = true;
    const auto limit =
        static_cast<int>(std::min<std::uint64_t>(entries_ - goal, std::uint64_t{kEraseRows}));
    const auto erased =
        file_->erase_oldest(limit, [this](const VectorFile::Erased& one) { forget(one); });
    if (!erased) return fail(erased.error());
    evicted_ += static_cast<std::uint64_t>(*erased);
    less_entries(static_cast<std::uint64_t>(*erased));
    if (*erased == 0) entries_ = 0;  // nothing is there: the count was of a damaged file
    return file_->shrink();
}

Result<void> SqliteVectorStore::tend() {
    std::vector<Use> uses;
    {
        const std::scoped_lock lock(mutex_);
        uses = std::exchange(uses_, {});
    }
    tend_memory();
    if (!file_) return {};
    if (!uses.empty()) {
        auto transaction = file_->begin();
        if (!transaction) return fail(std::move(transaction.error()));
        for (const Use& use : uses) {
            if (auto done = file_->note_use(use.stamp, use.unix_s); !done) return done;
        }
        if (auto done = transaction->commit(); !done) return done;
    }
    const auto erased = file_->erase_expired(
        unix_now_s(), 4 * kEraseRows, [this](const VectorFile::Erased& one) { forget(one); });
    if (!erased) return fail(erased.error());
    expired_ += static_cast<std::uint64_t>(*erased);
    less_entries(static_cast<std::uint64_t>(*erased));
    if (*erased == 4 * kEraseRows) tend_at_ = monotonic_now();  // more of them: next round
    return *erased > 0 ? file_->shrink() : Result<void>();
}

void SqliteVectorStore::tend_memory() {
    const auto due = expiring_.upper_bound(unix_now_s());
    for (auto at = expiring_.begin(); at != due; ++at) forget(at->second);
    expired_ += static_cast<std::uint64_t>(std::distance(expiring_.begin(), due));
    expiring_.erase(expiring_.begin(), due);
}

}  // namespace leeway::store::vectors
