#include "ledger/spill.hpp"

#include "ledger/frame.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace leeway::ledger {
namespace {

constexpr std::size_t kReadAhead = 256 << 10;
constexpr std::size_t kProbeBytes = 64 << 10;

}  // namespace

Result<std::unique_ptr<SpillQueue>> SpillQueue::open(const std::string& path) {
    std::unique_ptr<SpillQueue> spill(new SpillQueue(path));
    if (auto done = spill->recover(); !done) return fail(done.error());
    return spill;
}

SpillQueue::~SpillQueue() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (used() == 0) ::unlink(path_.c_str());
}

bool SpillQueue::open_file() noexcept {
    if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd_ >= 0;
}

Result<void> SpillQueue::recover() {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0 && errno == ENOENT) return {};
    struct stat info{};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
        return fail(
            ErrorCode::kConfig,
            fmt::format("cannot open the ledger's spill file {}: {}", path_, std::strerror(errno)),
            "check the state folder and its permissions");
    }
    end_ = static_cast<std::uint64_t>(info.st_size);
    while (next()) {
    }
    // Only whole frames were acknowledged; new ones are written over the torn rest.
    end_ = cursor_;
    used_ = cursor_;
    damaged_ = 0;
    rewind();
    (void)::ftruncate(fd_, static_cast<off_t>(end_.load()));
    return {};
}

bool SpillQueue::write_at_end(const char* data, std::size_t size) noexcept {
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = ::pwrite(fd_, data + done, size - done,
                                   static_cast<off_t>(end_.load(std::memory_order_relaxed) + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += static_cast<std::size_t>(n);
    }
    return true;
}

bool SpillQueue::append(std::string_view payload) noexcept {
    if (payload.size() > kMaxPayload) return false;
    try {
        const std::lock_guard lock(mutex_);
        if (!open_file()) return false;
        const std::uint64_t end = end_.load(std::memory_order_relaxed);
        frame_.assign(frame_size(payload.size()), '\0');
        write_frame(frame_.data(), FrameKind::kRecord, end, payload);
        if (!write_at_end(frame_.data(), frame_.size())) {
            // A part may have been written: give its blocks back. The next frame starts at `end`.
            (void)::ftruncate(fd_, static_cast<off_t>(end));
            return false;
        }
        appended_.fetch_add(frame_.size(), std::memory_order_relaxed);
        used_.fetch_add(frame_.size(), std::memory_order_release);
        // Sequentially consistent, because the caller looks next at whether the consumer sleeps.
        end_.store(end + frame_.size(), std::memory_order_seq_cst);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// Makes `need` bytes from `cursor_` on readable in `buffer_`.
bool SpillQueue::fill(std::uint64_t need) noexcept {
    const std::uint64_t end = end_.load(std::memory_order_acquire);
    if (cursor_ + need > end) return false;
    if (cursor_ >= buffer_start_ && cursor_ + need <= buffer_start_ + buffer_.size()) return true;
    try {
        const std::uint64_t want =
            std::min(end - cursor_, std::max<std::uint64_t>(need, kReadAhead));
        buffer_.resize(want);
        std::size_t done = 0;
        while (done < want) {
            const ssize_t n = ::pread(fd_, buffer_.data() + done, want - done,
                                      static_cast<off_t>(cursor_ + done));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            done += static_cast<std::size_t>(n);
        }
        buffer_.resize(done);
        buffer_start_ = cursor_;
        return done >= need;
    } catch (const std::bad_alloc&) {
        buffer_.clear();
        return false;
    }
}

std::optional<std::string_view> SpillQueue::next() noexcept {
    if (!fill(sizeof(FrameHeader))) return std::nullopt;
    FrameHeader header{};
    std::memcpy(&header, buffer_.data() + (cursor_ - buffer_start_), sizeof header);
    Frame frame;
    if (header.length <= kMaxPayload && fill(frame_size(header.length))) {
        const auto offset = static_cast<std::size_t>(cursor_ - buffer_start_);
        frame = read_frame(std::string_view(buffer_).substr(offset), cursor_);
    }
    if (frame.size == 0) return std::nullopt;
    cursor_ += frame.size;
    return frame.payload;
}

void SpillQueue::release() noexcept {
    if (cursor_ == released_) return;
    used_.fetch_sub(cursor_ - released_, std::memory_order_release);
    released_ = cursor_;
    const std::lock_guard lock(mutex_);
    if (end_.load(std::memory_order_relaxed) != cursor_) return;
    if (::ftruncate(fd_, 0) != 0) return;  // tried again after the next release
    end_ = 0;
    cursor_ = 0;
    released_ = 0;
    buffer_.clear();
    buffer_.shrink_to_fit();
    buffer_start_ = 0;
}

void SpillQueue::rewind() noexcept { cursor_ = released_; }

bool SpillQueue::probe() noexcept {
    try {
        const std::string zeros(kProbeBytes, '\0');
        const std::lock_guard lock(mutex_);
        if (!open_file()) return false;
        const bool taken = write_at_end(zeros.data(), zeros.size());
        (void)::ftruncate(fd_, static_cast<off_t>(end_.load(std::memory_order_relaxed)));
        return taken;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void SpillQueue::sync() noexcept {
    const std::lock_guard lock(mutex_);
    if (fd_ >= 0) ::fdatasync(fd_);
}

bool SpillQueue::has_unread() const noexcept {
    return end_.load(std::memory_order_seq_cst) != cursor_;
}

}  // namespace leeway::ledger
