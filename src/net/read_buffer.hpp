#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace leeway::net {

/// Bytes that have arrived and are not consumed yet, in one piece. After the bytes there are always
/// `kPadding` readable ones, which lets SIMD parsers work on views into it. Not thread-safe.
class ReadBuffer {
public:
    static constexpr std::size_t kPadding = 64;

    explicit ReadBuffer(std::size_t capacity) : capacity_(capacity), bytes_(allocate(capacity)) {}

    [[nodiscard]] std::string_view view() const noexcept {
        return {bytes_.get() + begin_, end_ - begin_};
    }
    [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
    /// Free room behind the bytes.
    [[nodiscard]] std::span<char> tail() noexcept {
        return {bytes_.get() + end_, capacity_ - end_};
    }
    void added(std::size_t n) noexcept { end_ += n; }
    /// Moves nothing: a read may be standing in the tail.
    void consume(std::size_t n) noexcept { begin_ += n; }
    /// Makes at least `room` bytes of tail, by moving the bytes to the front or into a larger piece.
    /// Views into the buffer die; no read may be standing in the tail.
    void reserve(std::size_t room) {
        if (begin_ == end_) begin_ = end_ = 0;
        if (capacity_ - end_ >= room) return;
        if (begin_ > 0) {
            std::memmove(bytes_.get(), bytes_.get() + begin_, size());
            end_ -= begin_;
            begin_ = 0;
        }
        if (capacity_ - end_ >= room) return;
        const std::size_t larger = std::max(capacity_ * 2, end_ + room);
        auto moved = allocate(larger);
        std::memcpy(moved.get(), bytes_.get(), end_);
        bytes_ = std::move(moved);
        capacity_ = larger;
    }

private:
    static std::unique_ptr<char[]> allocate(std::size_t capacity) {
        // Not zeroed: only what was read is looked at, and the padding only by masked SIMD loads.
        return std::make_unique_for_overwrite<char[]>(capacity + kPadding);
    }
    std::size_t capacity_;
    std::unique_ptr<char[]> bytes_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace leeway::net
