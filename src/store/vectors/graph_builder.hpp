#pragma once

#include "store/vectors/vector_index.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace leeway::store::vectors {

/// A partition in memory.
struct LoadedPartition {
    explicit LoadedPartition(const VectorIndex::Options& options) : index(options) {}

    VectorIndex index;
    std::string graph_path;  ///< where its graph is kept; empty: nowhere
    std::string graph_identity;
    std::atomic<bool> is_forgotten{false};  ///< it was cleared: its graph must not stay in a file
    std::atomic<bool> waits_for_builder{false};
    std::uint64_t graph_saved = 0;  ///< entries in the file's graph; of the builder
};

/// Thread "graphs": keeps the graphs of partitions up to date, one after the other, at a lower priority.
class GraphBuilder {
public:
    GraphBuilder();
    GraphBuilder(const GraphBuilder&) = delete;
    GraphBuilder& operator=(const GraphBuilder&) = delete;
    /// Gives up what it is at.
    ~GraphBuilder();

    /// After a change: looks after it if there is something to do. Thread-safe.
    void consider(const std::shared_ptr<LoadedPartition>& partition);
    [[nodiscard]] std::uint64_t built() const noexcept { return built_; }

private:
    void run() noexcept;
    /// False: there was nothing to do, or it could not be done.
    bool work_on(LoadedPartition& partition);
    void save(LoadedPartition& partition) const;

    std::atomic<std::uint64_t> built_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;  // of the queue
    std::condition_variable changed_;
    std::deque<std::shared_ptr<LoadedPartition>> queue_;
    std::thread thread_;
};

}  // namespace leeway::store::vectors
