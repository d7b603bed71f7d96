#pragma once

#include "store/vectors/graph_builder.hpp"
#include "store/vectors/vector_file.hpp"
#include "store/vectors/vector_store.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace leeway::store::vectors {

/// See open_vector_store.
class SqliteVectorStore final : public VectorStore {
public:
    explicit SqliteVectorStore(const VectorStoreOptions& options) : options_(options) {}
    /// Opens the file, setting a broken one aside, and starts the threads. Once.
    [[nodiscard]] Result<void> start();
    /// Writes what is pending; searches that wait get kUnavailable.
    ~SqliteVectorStore() override;
    SqliteVectorStore(const SqliteVectorStore&) = delete;
    SqliteVectorStore& operator=(const SqliteVectorStore&) = delete;

    [[nodiscard]] std::optional<Found> find(const VectorQuery& query) override;
    void search(VectorQuery query, std::function<void(Found)> done) override;
    void put(const Partition& partition, VectorEntry entry) override;
    void remove(const Partition& partition, std::uint64_t id) override;
    void touch(const Partition& partition, std::uint64_t id) override;
    void clear(std::string_view key_prefix) override;
    [[nodiscard]] VectorStoreStats stats() const override;
    [[nodiscard]] Result<void> flush(Duration timeout) override;

private:
    struct Waiting {
        VectorQuery query;
        std::function<void(Found)> done;
    };
    /// Guarded by mutex_; `partition` and `number` never change.
    struct State {
        Partition partition;
        std::int64_t number = 0;
        std::shared_ptr<LoadedPartition> loaded;  // null: on disk only
        bool is_loading = false;
        bool is_cleared = false;
        std::vector<Waiting> waiting;
        std::uint64_t searched = 0;  // when it was last wanted, by clock_
    };
    using StatePtr = std::shared_ptr<State>;
    enum class Change : std::uint8_t { kPut = 0, kRemove = 1, kClear = 2 };
    struct Op {
        Change what = Change::kPut;
        StatePtr state;
        std::uint64_t stamp = 0;
        VectorEntry entry;  // of a removal only the id
    };
    struct Use {
        std::uint64_t stamp;
        std::uint32_t unix_s;
    };
    struct Written {
        std::uint64_t added = 0;
        std::uint64_t removed = 0;
        std::vector<std::int64_t> cleared;
    };
    /// What the thread took out of the queues for one round.
    struct Round {
        std::vector<Op> ops;
        StatePtr load;
        std::uint64_t flush = 0;
        bool all_taken = false;
    };

    /// One text for each partition, and no text for two.
    [[nodiscard]] static std::string name_of(const Partition& partition);
    [[nodiscard]] static std::uint64_t op_bytes(const Op& op) noexcept;

    // Any thread, with the lock held.
    [[nodiscard]] StatePtr known(const Partition& partition) const;
    [[nodiscard]] StatePtr known_or_new(const Partition& partition);
    [[nodiscard]] std::shared_ptr<LoadedPartition> make_loaded(const State& state) const;
    void enqueue(Op op);
    void wake(bool urgent);

    // Thread "vectors", or before it starts.
    [[nodiscard]] Result<void> open_file();
    [[nodiscard]] Result<void> open_or_set_aside();
    void sweep_graphs();
    void run() noexcept;
    void wait(std::unique_lock<std::mutex>& lock);
    void take(Round& round);
    void serve(Round& round);
    /// What is to be gone is tried again. False: nothing was.
    [[nodiscard]] bool requeue(std::vector<Op>& ops);
    [[nodiscard]] Result<void> write(const std::vector<Op>& ops);
    [[nodiscard]] Result<void> write(const std::vector<Op>& ops, Written& written);
    [[nodiscard]] Result<void> apply(const Op& op, Written& written);
    void load(const StatePtr& state);
    [[nodiscard]] std::string graph_path(std::int64_t number) const;
    void read_graph(LoadedPartition& partition) const;
    void answer(const std::vector<Waiting>& waiting, const std::shared_ptr<LoadedPartition>& loaded,
                const Error* error);
    void forget(const VectorFile::Erased& erased);
    /// Partitions that lost entries and have none any more are forgotten: each conversation makes new ones.
    [[nodiscard]] Result<void> drop_empty();
    [[nodiscard]] StatePtr empty_in_memory(std::int64_t number) const;
    void bound_partition(const StatePtr& state);
    void evict_oldest_of(const StatePtr& state, const std::shared_ptr<LoadedPartition>& loaded,
                         std::size_t count);
    void bound_memory();
    [[nodiscard]] Result<void> erase_left_behind();
    [[nodiscard]] Result<void> evict();
    [[nodiscard]] Result<void> tend();
    void tend_memory();
    void note(const Result<void>& done);
    void lose_file();
    void less_entries(std::uint64_t count) noexcept;

    const VectorStoreOptions options_;

    // Thread "vectors" only.
    std::unique_ptr<VectorFile> file_;  // null: memory only
    /// What expires when, where no file keeps it.
    std::multimap<std::int64_t, VectorFile::Erased> expiring_;
    std::vector<std::int64_t> left_behind_;  // partitions that are gone and have rows left
    std::vector<std::int64_t> shrunk_;  // partitions that lost entries in this round
    TimePoint tend_at_{};
    TimePoint bound_at_{};
    int resets_left_ = 3;
    bool more_to_evict_ = false;

    std::atomic<std::uint64_t> entries_{0};
    std::atomic<std::uint64_t> searches_{0};
    std::atomic<std::uint64_t> loads_{0};
    std::atomic<std::uint64_t> unloads_{0};
    std::atomic<std::uint64_t> written_{0};
    std::atomic<std::uint64_t> evicted_{0};
    std::atomic<std::uint64_t> expired_{0};
    std::atomic<std::uint64_t> refused_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> damaged_{0};
    std::atomic<std::uint64_t> identity_{0};  // of the file
    std::atomic<bool> on_disk_{false};
    std::atomic<bool> failing_{false};

    mutable std::mutex mutex_;  // of the rest
    std::condition_variable changed_;
    std::condition_variable flushed_;
    std::unordered_map<std::string, StatePtr> states_;  // by name_of
    std::unordered_map<std::int64_t, StatePtr> by_number_;
    std::deque<Op> ops_;
    std::uint64_t op_bytes_ = 0;
    std::deque<StatePtr> to_load_;
    std::vector<Use> uses_;
    std::uint64_t clock_ = 0;
    std::uint64_t next_stamp_ = 1;
    std::int64_t next_number_ = 1;
    std::uint64_t flush_asked_ = 0;
    std::uint64_t flush_done_ = 0;
    bool asleep_ = false;  // until something comes
    bool napping_ = false;  // until something urgent comes
    bool stop_ = false;
    GraphBuilder builder_;
    std::thread thread_;
};

}  // namespace leeway::store::vectors
