#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "store/vectors/vector_index.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::store::vectors {

/// Vectors that may meet each other. Everything that separates them is in here: nothing that a search could forget to
/// filter by.
struct Partition {
    /// Tenant, scope, …, each ended by a byte that is in none of them, so that no key begins with a stranger's.
    std::string key;
    std::string fingerprint;  ///< of the model: with another one it is another partition
    std::uint32_t dimension = 0;

    friend bool operator==(const Partition&, const Partition&) = default;
};

struct VectorEntry {
    std::uint64_t id = 0;  ///< unique in its partition
    std::shared_ptr<const std::vector<float>>
        vector;  ///< `Partition::dimension` numbers, of unit length
    std::string payload;  ///< a few hundred bytes that come back with a match; kept in memory
    std::int64_t expires_unix_s = 0;  ///< 0: never. See VectorStoreOptions::tend_every
};

struct VectorQuery {
    Partition partition;
    std::shared_ptr<const std::vector<float>> vector;
    std::size_t k = 1;
    /// As `Filter`, but its own: `only` must hold until the answer.
    Filter filter;
};

/// A snapshot; counters since the start.
struct VectorStoreStats {
    std::uint64_t partitions = 0;
    std::uint64_t loaded = 0;  ///< partitions in memory
    std::uint64_t entries = 0;  ///< on disk
    std::uint64_t memory_entries = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t searches = 0;
    std::uint64_t loads = 0;
    std::uint64_t unloads = 0;
    std::uint64_t written = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
    std::uint64_t refused = 0;  ///< entries of the wrong length, or too large
    std::uint64_t dropped = 0;  ///< entries that are in memory only: queue full or disk error
    std::uint64_t damaged = 0;  ///< rows whose check value or length was wrong: they are deleted
    std::uint64_t graphs_built = 0;
    bool on_disk = false;  ///< false: memory only, wished or because the file failed
    bool failing = false;  ///< the last write failed
};

/// Vectors with their payloads, by partition. Thread-safe; nothing here waits for a disk but `flush`.
class VectorStore {
public:
    /// Best first; see VectorIndex::search. Errors: kInvalidRequest, kUnavailable.
    using Found = Result<std::vector<Match>>;

    VectorStore() = default;
    VectorStore(const VectorStore&) = delete;
    VectorStore& operator=(const VectorStore&) = delete;
    virtual ~VectorStore() = default;

    /// Searches on this thread (a millisecond or less) if the partition is in memory or is not known at all; nullopt:
    /// it is not, `search` will answer.
    [[nodiscard]] virtual std::optional<Found> find(const VectorQuery& query) = 0;
    /// Runs `done` once, in this call or on a thread of the store, which it must not hold up; also when the store goes
    /// away (kUnavailable).
    virtual void search(VectorQuery query, std::function<void(Found)> done) = 0;

    /// Adds, or replaces what has this id. Found from now on; on disk soon after (see `flush`).
    virtual void put(const Partition& partition, VectorEntry entry) = 0;
    virtual void remove(const Partition& partition, std::uint64_t id) = 0;
    /// It was of use: keeps it from being evicted before others. Being found is none.
    virtual void touch(const Partition& partition, std::uint64_t id) = 0;
    /// Forgets all partitions whose key begins with `key_prefix`, of every model; empty: all. At once for searches that
    /// begin now, on disk soon after.
    virtual void clear(std::string_view key_prefix) = 0;

    [[nodiscard]] virtual VectorStoreStats stats() const = 0;
    /// Waits until all that was changed before is on disk. An error when it is not within `timeout`.
    [[nodiscard]] virtual Result<void> flush(Duration timeout = std::chrono::seconds(10)) = 0;
};

struct VectorStoreOptions {
    std::string
        path;  ///< SQLite file, its folder must exist; graphs lie in `<path>.graphs/`; empty: memory only
    Precision precision = Precision::kInt8;
    std::uint64_t most_entries =
        1'000'000;  ///< of all partitions, on disk; beyond: the least recently used go
    std::uint64_t most_partition_entries = 200'000;  ///< of one partition
    std::uint64_t most_memory_bytes =
        1ULL << 30U;  ///< beyond: partitions that were not searched for long are unloaded
    std::uint64_t most_payload_bytes = 16 << 10;  ///< of one entry
    /// How often expired entries are deleted (until then they may be found) and uses are written.
    Duration tend_every = std::chrono::seconds(30);
};

/// A store in one SQLite file. Partitions come into memory when they are first searched and leave it when memory is
/// short. Thread "vectors" alone touches the file and writes in batches, thread "graphs" builds graphs at a lower
/// priority. What was flushed survives a kill; each row is whole or not there.
///
/// A damaged, foreign or newer file stops nothing: it is moved to `<path>.set-aside` or left alone, with a warning, and
/// the store starts empty or goes on in memory. Graph files are caches: one that is cut, foreign or out of date costs
/// a log line and building it anew. An error only for senseless options.
[[nodiscard]] Result<std::unique_ptr<VectorStore>> open_vector_store(
    const VectorStoreOptions& options);

}  // namespace leeway::store::vectors
