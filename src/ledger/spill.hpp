#pragma once

#include "base/result.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// The file a worker appends to while its ring is full: same frames as in the ring. One producer
/// thread, one consumer thread; the lock is held for one write or one truncation. The file is made
/// by the first append and emptied when all of it was released.
class SpillQueue {
public:
    /// Finds what an earlier process left; what is torn at its end is cut off.
    [[nodiscard]] static Result<std::unique_ptr<SpillQueue>> open(const std::string& path);
    SpillQueue(const SpillQueue&) = delete;
    SpillQueue& operator=(const SpillQueue&) = delete;
    ~SpillQueue();

    /// Producer. False: the disk took nothing (full, read-only, error); nothing was kept.
    [[nodiscard]] bool append(std::string_view payload) noexcept;

    /// Consumer. The next record, nullopt when there is none or the file cannot be read now; valid
    /// until the next call.
    [[nodiscard]] std::optional<std::string_view> next() noexcept;
    /// Consumer. Everything that `next` returned is done with.
    void release() noexcept;
    /// Consumer. `next` starts again with the first record that was not released.
    void rewind() noexcept;
    /// Any thread. Tries whether the disk would take 64 KiB now; leaves nothing behind.
    [[nodiscard]] bool probe() noexcept;
    /// Any thread. Waits until what was appended is on the disk.
    void sync() noexcept;

    /// Consumer. True when `next` would find something.
    [[nodiscard]] bool has_unread() const noexcept;
    /// Any thread. Bytes appended and not released.
    [[nodiscard]] std::uint64_t used() const noexcept {
        return used_.load(std::memory_order_acquire);
    }
    /// Any thread. Bytes appended since the start.
    [[nodiscard]] std::uint64_t appended_bytes() const noexcept {
        return appended_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t damaged_bytes() const noexcept { return damaged_; }

private:
    explicit SpillQueue(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] Result<void> recover();
    [[nodiscard]] bool open_file() noexcept;
    [[nodiscard]] bool write_at_end(const char* data, std::size_t size) noexcept;
    [[nodiscard]] bool fill(std::uint64_t need) noexcept;

    const std::string path_;
    std::mutex mutex_;  // of fd_, frame_ and end_, and of the file's length
    int fd_ = -1;
    std::string frame_;  // the producer's frame in the making
    std::atomic<std::uint64_t> end_{0};
    std::atomic<std::uint64_t> used_{0};
    std::atomic<std::uint64_t> appended_{0};
    // Consumer only.
    std::uint64_t released_ = 0;
    std::uint64_t cursor_ = 0;
    std::string buffer_;
    std::uint64_t buffer_start_ = 0;  // file position of buffer_[0]
    std::uint64_t damaged_ = 0;
};

}  // namespace leeway::ledger
