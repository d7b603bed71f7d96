#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

namespace leeway::app {

/// Bounds how many answers go on at a time whose callers have left. One for the process; outlives all requests.
/// Thread-safe.
class DrainSlots {
public:
    /// One of them, for as long as this lives.
    class Slot {
    public:
        explicit Slot(std::atomic<std::uint32_t>& open) noexcept : open_(&open) {}
        Slot(Slot&& other) noexcept : open_(std::exchange(other.open_, nullptr)) {}
        Slot& operator=(Slot&&) = delete;
        ~Slot() {
            if (open_ != nullptr) open_->fetch_sub(1, std::memory_order_relaxed);
        }

    private:
        std::atomic<std::uint32_t>* open_;
    };

    /// nullopt: `most` go on already.
    [[nodiscard]] std::optional<Slot> take(std::uint32_t most) noexcept {
        if (open_.fetch_add(1, std::memory_order_relaxed) >= most) {
            open_.fetch_sub(1, std::memory_order_relaxed);
            refused_.fetch_add(1, std::memory_order_relaxed);
            return std::nullopt;
        }
        begun_.fetch_add(1, std::memory_order_relaxed);
        return Slot(open_);
    }
    [[nodiscard]] std::uint32_t open() const noexcept {
        return open_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t begun() const noexcept {
        return begun_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t refused() const noexcept {
        return refused_.load(std::memory_order_relaxed);
    }

private:
    std::atomic<std::uint32_t> open_{0};
    std::atomic<std::uint64_t> begun_{0};
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace leeway::app
