#pragma once

#include <atomic>
#include <cstdint>

namespace leeway::net {

/// Room for bytes that many holders share, up to a limit that they never pass together. Thread-safe; outlives its holders.
class ByteRoom {
public:
    explicit ByteRoom(std::uint64_t limit) noexcept : left_(limit) {}

    /// What one of them holds; given back at its end. Used by one thread at a time.
    class Part {
    public:
        Part() = default;
        Part(const Part&) = delete;
        Part& operator=(const Part&) = delete;
        ~Part() { give_back(); }

        [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
        /// Holds `bytes` in all; to hold fewer than before changes nothing. False: there is no room, and what was held
        /// stays. `room` is always the same; null: there is room for everything.
        [[nodiscard]] bool grow(ByteRoom* room, std::uint64_t bytes) noexcept {
            if (room == nullptr || bytes <= bytes_) return true;
            if (!room->take(bytes - bytes_)) return false;
            room_ = room;
            bytes_ = bytes;
            return true;
        }
        void give_back() noexcept {
            if (room_ != nullptr) room_->left_.fetch_add(bytes_, std::memory_order_relaxed);
            room_ = nullptr;
            bytes_ = 0;
        }

    private:
        ByteRoom* room_ = nullptr;
        std::uint64_t bytes_ = 0;
    };

private:
    [[nodiscard]] bool take(std::uint64_t bytes) noexcept {
        std::uint64_t left = left_.load(std::memory_order_relaxed);
        while (left >= bytes) {
            if (left_.compare_exchange_weak(left, left - bytes, std::memory_order_relaxed))
                return true;
        }
        return false;
    }

    std::atomic<std::uint64_t> left_;
};

}  // namespace leeway::net
