#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/hash.hpp"
#include "base/posted_value.hpp"
#include "base/result.hpp"
#include "methods/agent_cache/cached_answer.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace leeway::agent_cache {

class AnswerDisk;
class MemoryCache;

struct ExactStoreOptions {
    std::string path;  ///< SQLite file, its folder must exist; empty: memory only
    std::uint64_t memory_bytes = 64 << 20;  ///< bound of the answers in memory, overhead included
    std::uint64_t disk_bytes = 1 << 30;  ///< bound of the rows on disk; 0: memory only
    std::uint64_t entry_bytes = 1 << 20;  ///< a larger body is not kept
};

/// A snapshot; counters since the start.
struct ExactStoreStats {
    std::uint64_t memory_entries = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t memory_evicted = 0;
    std::uint64_t memory_hits = 0;
    std::uint64_t misses = 0;  ///< neither in memory nor on disk
    std::uint64_t refused = 0;  ///< larger than `entry_bytes`, or expired when they came
    std::uint64_t disk_entries = 0;  ///< in the index
    std::uint64_t disk_bytes = 0;
    std::uint64_t disk_hits = 0;  ///< loads that found their answer
    std::uint64_t disk_misses = 0;  ///< loads that did not
    std::uint64_t disk_written = 0;
    std::uint64_t disk_evicted = 0;
    std::uint64_t disk_expired = 0;
    std::uint64_t disk_dropped = 0;  ///< stayed in memory only: queue full or disk error
    std::uint64_t disk_damaged = 0;  ///< rows whose seal, length or version was wrong: misses
    bool disk_on = false;  ///< false: memory only, wished or because the file failed
    bool disk_failing = false;  ///< the last write failed
};

/// Answers by the hash of their request: an LRU in memory over an SQLite file that one thread
/// ("cache") writes. Thread-safe. A damaged, foreign or newer file stops nothing: it is moved
/// to `<path>.set-aside` or left alone, with a warning, and the store goes on without it.
///
/// Rows on disk carry an HMAC by the key in `<path>.seal` (made when absent, mode 0600); a row
/// whose seal is not ours is a miss and is deleted.
class ExactStore {
public:
    /// Loads the index of what is on disk (no bodies). An error only for senseless options.
    [[nodiscard]] static Result<std::unique_ptr<ExactStore>> open(const ExactStoreOptions& options);
    ExactStore(const ExactStore&) = delete;
    ExactStore& operator=(const ExactStore&) = delete;
    /// Writes what is pending; loads that still wait yield null, so the executors must outlive it.
    ~ExactStore();

    enum class Lookup : std::uint8_t {
        kMiss = 0,
        kHit = 1,  ///< `out` is set
        kOnDisk = 2,  ///< `load` will probably find it
    };
    /// Never waits for the disk. Expired is a miss.
    [[nodiscard]] Lookup find(const Sha256& key, std::int64_t now_unix_ms, AnswerPtr& out);

    /// Reads the answer from disk on the cache thread (and keeps it in memory), then runs `done` on
    /// `executor` with it, or with null when it is gone, damaged or expired.
    void load(const Sha256& key, Executor& executor, std::function<void(AnswerPtr)> done);
    /// The same for a coroutine on `executor`'s thread: keep the result in its frame and
    /// `co_await loading.receive()`; `loading.interrupt(nullptr)` gives up. Frame and result may go
    /// away at any time.
    [[nodiscard]] PostedValue<AnswerPtr> load(const Sha256& key, Executor& executor);

    /// Keeps `answer` in memory at once and gives it to the cache thread. When that is too far
    /// behind the answer stays in memory only.
    void put(const Sha256& key, AnswerPtr answer);

    /// Forgets one answer, those of one tenant (≠ 0), or all: later calls do not yield them any
    /// more (`find` may say kOnDisk for a moment, `load` then yields null). A `load` that is being
    /// answered right now may still yield one. The disk follows on the cache thread.
    void erase(const Sha256& key);
    void invalidate_tenant(std::uint64_t tenant);
    void clear();

    [[nodiscard]] ExactStoreStats stats() const;
    /// Waits until all that was put or erased before is on disk. An error when it is not within
    /// `timeout`; not an error: answers that the disk refused (see `stats`).
    [[nodiscard]] Result<void> flush(Duration timeout = std::chrono::seconds(10));

private:
    ExactStore(std::unique_ptr<MemoryCache> memory, std::uint64_t entry_bytes);

    const std::uint64_t entry_bytes_;
    std::atomic<std::uint64_t> refused_{0};
    std::unique_ptr<MemoryCache> memory_;
    std::unique_ptr<AnswerDisk> disk_;  // null: memory only
};

}  // namespace leeway::agent_cache
