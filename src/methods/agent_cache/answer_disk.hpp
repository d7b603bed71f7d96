#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "methods/agent_cache/answer_file.hpp"
#include "methods/agent_cache/cached_answer.hpp"
#include "methods/agent_cache/disk_index.hpp"
#include "methods/agent_cache/memory_cache.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace leeway::agent_cache {

/// The disk half of the store: the file, the index of its keys, and the thread "cache" that alone
/// touches the file. It reads at once and writes in batches. Thread-safe.
class AnswerDisk {
public:
    struct Stats {
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
        std::uint64_t written = 0;
        std::uint64_t evicted = 0;
        std::uint64_t expired = 0;
        std::uint64_t dropped = 0;
        std::uint64_t damaged = 0;
        bool on = false;
        bool failing = false;
    };
    using Deliver = std::function<void(AnswerPtr)>;  // called on the cache thread

    /// Opens the file, setting a broken one aside, loads the index and starts the thread. `memory`
    /// (which outlives it) gets what is loaded. An error: the file cannot be used here at all.
    [[nodiscard]] static Result<std::unique_ptr<AnswerDisk>> open(const std::string& path,
                                                                  std::uint64_t most_bytes,
                                                                  MemoryCache& memory);
    AnswerDisk(const AnswerDisk&) = delete;
    AnswerDisk& operator=(const AnswerDisk&) = delete;
    /// Writes what is pending; waiting loads get null.
    ~AnswerDisk();

    [[nodiscard]] DiskIndex& index() noexcept { return index_; }
    [[nodiscard]] const DiskIndex& index() const noexcept { return index_; }
    void load(const Sha256& key, Deliver deliver);
    void put(const Sha256& key, AnswerPtr answer);
    void erase(const Sha256& key);
    void erase_tenant(std::uint64_t tenant);
    void clear();
    [[nodiscard]] Result<void> flush(Duration timeout);
    [[nodiscard]] Stats stats() const;

private:
    struct Load {
        Sha256 key;
        Deliver deliver;
    };
    struct Write {
        Sha256 key;
        AnswerPtr answer;
    };
    enum class Erase : std::uint8_t { kKey = 0, kTenant = 1, kAll = 2 };
    struct Order {
        Erase what;
        Sha256 key;
        std::uint64_t tenant;
    };
    /// What the thread took out of the queues for one round.
    struct Round {
        std::vector<Order> orders;
        std::deque<Load> loads;
        std::vector<Write> writes;
        std::uint64_t flush = 0;
        std::uint64_t generation = 0;
    };

    AnswerDisk(std::string path, std::uint64_t most_bytes, MemoryCache& memory)
        : path_(std::move(path)), most_bytes_(most_bytes), memory_(memory) {}

    // Cache thread (or before it starts).
    [[nodiscard]] Result<void> open_file();
    [[nodiscard]] Result<void> open_or_set_aside();
    void run() noexcept;
    void wait(std::unique_lock<std::mutex>& lock);
    void take(Round& round);
    void serve(Round& round);
    void serve_load(const Load& load, std::uint64_t generation);
    [[nodiscard]] AnswerPtr read(const Sha256& key);
    [[nodiscard]] Result<void> obey(const Order& order);
    [[nodiscard]] Result<void> write(const std::vector<Write>& writes);
    [[nodiscard]] Result<void> evict();
    [[nodiscard]] Result<void> tend(std::int64_t now_ms);
    void note(const Result<void>& done);
    void forget_bytes(std::uint64_t size) noexcept;

    // Any thread.
    void order(Order what);
    void drop_writes_of(const Order& what);
    void wake(bool urgent);

    const std::string path_;
    const std::uint64_t most_bytes_;
    MemoryCache& memory_;
    DiskIndex index_;

    // Cache thread only.
    std::unique_ptr<AnswerFile> file_;  // null: it broke for good
    Secret seal_;
    std::vector<MemoryCache::Use> uses_;
    TimePoint tend_at_{};
    int resets_left_ = 3;
    bool more_to_erase_ = false;

    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint64_t> misses_{0};
    std::atomic<std::uint64_t> written_{0};
    std::atomic<std::uint64_t> evicted_{0};
    std::atomic<std::uint64_t> expired_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> damaged_{0};
    std::atomic<bool> on_{false};
    std::atomic<bool> failing_{false};

    mutable std::mutex mutex_;  // of the rest
    std::condition_variable changed_;
    std::condition_variable flushed_;
    std::vector<Order> orders_;
    std::deque<Load> loads_;
    std::deque<Write> writes_;
    std::uint64_t write_bytes_ = 0;
    std::uint64_t generation_ = 0;  // grows with every order
    std::uint64_t flush_asked_ = 0;
    std::uint64_t flush_done_ = 0;
    bool asleep_ = false;  // until something comes
    bool napping_ = false;  // until something urgent comes
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace leeway::agent_cache
