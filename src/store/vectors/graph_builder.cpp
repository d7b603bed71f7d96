#include "store/vectors/graph_builder.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <cstdio>
#include <utility>

namespace leeway::store::vectors {
namespace {

constexpr int kNice = 10;

}  // namespace

GraphBuilder::GraphBuilder() : thread_([this] { run(); }) {}

GraphBuilder::~GraphBuilder() {
    {
        const std::scoped_lock lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void GraphBuilder::consider(const std::shared_ptr<LoadedPartition>& partition) {
    if (partition->waits_for_builder.load(std::memory_order_relaxed) ||
        !partition->index.wants_maintenance() || partition->waits_for_builder.exchange(true)) {
        return;
    }
    {
        const std::scoped_lock lock(mutex_);
        queue_.push_back(partition);
    }
    changed_.notify_one();
}

void GraphBuilder::run() noexcept {
    pthread_setname_np(pthread_self(), "graphs");
    ::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread alone, on Linux
    for (;;) {
        std::shared_ptr<LoadedPartition> next;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
            if (stop_) return;
            next = std::move(queue_.front());
            queue_.pop_front();
        }
        next->waits_for_builder = false;
        if (next->is_forgotten) continue;
        // Behind the others. Where nothing could be done (no memory for a graph) searches scan, and the next change
        // tries again.
        if (work_on(*next) && !stop_) consider(next);
    }
}

bool GraphBuilder::work_on(LoadedPartition& partition) {
    const std::uint64_t dead_before = partition.index.stats().dead;
    if (!partition.index.maintain(stop_)) return false;
    built_.fetch_add(1, std::memory_order_relaxed);
    if (partition.graph_path.empty()) return true;
    // Written when a start would miss a fifth of it; what is missing then is soon built.
    const VectorIndex::Stats now = partition.index.stats();
    const bool grew = now.in_graph * 4 > partition.graph_saved * 5;
    if (grew || (now.dead < dead_before && now.in_graph > 0)) save(partition);
    return true;
}

void GraphBuilder::save(LoadedPartition& partition) const {
    const auto saved = partition.index.save_graph(partition.graph_path, partition.graph_identity);
    if (!saved) {
        spdlog::warn("a graph of vectors is not kept: {}", saved.error().text());
        return;
    }
    partition.graph_saved = partition.index.stats().in_graph;
    if (partition.is_forgotten) (void)std::remove(partition.graph_path.c_str());
}

}  // namespace leeway::store::vectors
