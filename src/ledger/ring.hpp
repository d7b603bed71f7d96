#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::ledger {

/// A file-backed ring in shared memory for one producer thread and one consumer thread. What was
/// pushed lies in the page cache: it survives a kill of the process, and `open` finds it again.
/// The file's blocks are allocated when it is made, so that writing to the mapping cannot meet a
/// full disk (which would be a SIGBUS).
class Ring {
public:
    /// Makes the file, or opens it and finds the frames that were not released. `capacity` is used
    /// only for a new file: a multiple of 4096. The `reason` "damaged" says that the file is no ring
    /// of ours: the caller moves it away.
    [[nodiscard]] static Result<std::unique_ptr<Ring>> open(const std::string& path,
                                                            std::uint64_t capacity);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring();

    /// Producer. False: no room now. No system call.
    [[nodiscard]] bool push(std::string_view payload) noexcept;

    /// Consumer. The next record, nullopt when there is none; valid until `release`.
    [[nodiscard]] std::optional<std::string_view> next() noexcept;
    /// Consumer. Gives the room of everything that `next` returned back to the producer.
    void release() noexcept;
    /// Consumer. `next` starts again with the first record that was not released.
    void rewind() noexcept;
    /// Consumer, while the ring is empty: unmaps touched pages from this process (they stay in the
    /// page cache), so that a burst does not stay in its resident size.
    void trim() noexcept;

    /// Any thread. Bytes pushed and not released.
    [[nodiscard]] std::uint64_t used() const noexcept;
    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
    /// Consumer. True when `next` would find something.
    [[nodiscard]] bool has_unread() const noexcept;
    /// Consumer. Bytes that could not be read because memory or file was damaged; 0 in a sane world.
    [[nodiscard]] std::uint64_t damaged_bytes() const noexcept { return damaged_; }

private:
    struct Layout;
    Ring(Layout* layout, std::uint64_t capacity);
    void recover() noexcept;
    void publish(std::uint64_t head) noexcept;

    Layout* layout_;
    char* data_;
    std::uint64_t capacity_;
    std::uint64_t head_ = 0;  // producer's copy
    std::uint64_t known_tail_ = 0;  // producer's last look at the consumer's position
    std::uint64_t cursor_ = 0;  // consumer's: read, perhaps not released
    std::uint64_t touched_ = 0;  // consumer's: highest offset since the last trim
    std::uint64_t damaged_ = 0;
};

}  // namespace leeway::ledger
