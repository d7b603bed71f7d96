#include "ledger/ring.hpp"

#include "ledger/frame.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace leeway::ledger {
namespace {

constexpr std::uint64_t kMagic = 0x31474e4952574c00;  // "\0LWRING1" in little-endian order
constexpr std::uint64_t kHeaderBytes = 4096;
// An empty ring starts its next lap after this much: light traffic then keeps to a few warm pages.
constexpr std::uint64_t kShortLap = 256 << 10;

Error file_error(const std::string& path, const char* doing, int code) {
    Error error;
    error.code = ErrorCode::kConfig;
    error.message =
        fmt::format("cannot {} the ledger's journal {}: {}", doing, path, std::strerror(code));
    error.reason = code == ENOSPC ? "disk_full" : "io_error";
    error.hint = code == ENOSPC || code == EFBIG ? "free some space on that disk"
                                                 : "check the state folder and its permissions";
    return error;
}

/// Closes a file descriptor at the end of a scope.
struct File {
    int fd = -1;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
};

}  // namespace

// The file's first page. Each position has its own cache line: they belong to different threads.
struct Ring::Layout {
    std::uint64_t magic;
    std::uint64_t capacity;
    alignas(64) std::uint64_t head;  // end of the last published frame
    alignas(64) std::uint64_t tail;  // end of the last released frame
    alignas(64) std::uint64_t unused;
};

namespace {

/// A new ring file is made under another name and renamed when it is whole: a kill in between
/// leaves nothing that looks like a ring.
Result<void> create_file(const std::string& path, std::uint64_t capacity) {
    const std::string temporary = path + ".tmp";
    File file{::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (file.fd < 0) return fail(file_error(temporary, "make", errno));
    // On a copy-on-write file system a write to allocated blocks may still need new ones.
    int flags = 0;
    if (::ioctl(file.fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL) == 0) {
        flags |= FS_NOCOW_FL;
        (void)::ioctl(file.fd, FS_IOC_SETFLAGS, &flags);  // other file systems refuse: fine
    }
    const int code = ::posix_fallocate(file.fd, 0, static_cast<off_t>(kHeaderBytes + capacity));
    const std::uint64_t start[2] = {kMagic, capacity};
    if (code != 0 || ::pwrite(file.fd, start, sizeof start, 0) != sizeof start ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const int why = code != 0 ? code : errno;
        ::unlink(temporary.c_str());
        return fail(file_error(path, "make", why));
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Ring>> Ring::open(const std::string& path, std::uint64_t capacity) {
    if (::access(path.c_str(), F_OK) != 0) {
        if (auto made = create_file(path, capacity); !made) return fail(made.error());
    }
    const File file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (file.fd < 0) return fail(file_error(path, "open", errno));
    struct stat info{};
    std::uint64_t start[2] = {};
    if (::fstat(file.fd, &info) != 0 ||
        ::pread(file.fd, start, sizeof start, 0) != ssize_t{sizeof start} || start[0] != kMagic ||
        start[1] == 0 || start[1] % 4096 != 0 ||
        static_cast<std::uint64_t>(info.st_size) != kHeaderBytes + start[1]) {
        auto error = file_error(path, "use", EINVAL);
        error.reason = "damaged";
        return fail(std::move(error));
    }
    void* memory = ::mmap(nullptr, static_cast<std::size_t>(info.st_size), PROT_READ | PROT_WRITE,
                          MAP_SHARED, file.fd, 0);
    if (memory == MAP_FAILED) return fail(file_error(path, "map", errno));
    std::unique_ptr<Ring> ring(new Ring(static_cast<Layout*>(memory), start[1]));
    ring->recover();
    return ring;
}

Ring::Ring(Layout* layout, std::uint64_t capacity)
    : layout_(layout), data_(reinterpret_cast<char*>(layout) + kHeaderBytes), capacity_(capacity) {
    static_assert(sizeof(Layout) <= kHeaderBytes);
}

Ring::~Ring() { ::munmap(layout_, kHeaderBytes + capacity_); }

// The frames themselves say what is there: each carries its position and a checksum. The published
// head is only a hint, for the last frame may be whole although the process died before it
// published it; a frame that is not whole was never acknowledged and is dropped.
void Ring::recover() noexcept {
    const std::uint64_t tail = layout_->tail & ~std::uint64_t{7};
    std::uint64_t position = tail;
    std::uint64_t end =
        tail;  // of the last record: what is skipped before the next one is not there yet
    while (position - tail < capacity_) {
        const std::uint64_t offset = position % capacity_;
        const std::uint64_t to_end = capacity_ - offset;
        const std::uint64_t room = capacity_ - (position - tail);
        std::uint64_t step = 0;
        bool record = false;
        if (to_end < sizeof(FrameHeader)) {
            step = to_end;
        } else {
            const Frame frame = read_frame({data_ + offset, std::min(to_end, room)}, position);
            record = frame.kind == FrameKind::kRecord;
            step = frame.kind == FrameKind::kPad ? to_end : frame.size;
        }
        if (step == 0 || step > room) break;
        position += step;
        if (record) end = position;
    }
    if (layout_->head > end && layout_->head - end <= capacity_) damaged_ += layout_->head - end;
    cursor_ = known_tail_ = layout_->tail = tail;
    head_ = layout_->head = end;
    touched_ = capacity_;
}

void Ring::publish(std::uint64_t head) noexcept {
    head_ = head;
    // Sequentially consistent, because the caller looks next at whether the consumer sleeps.
    std::atomic_ref(layout_->head).store(head, std::memory_order_seq_cst);
}

bool Ring::push(std::string_view payload) noexcept {
    const std::uint64_t size = frame_size(payload.size());
    // Half of the ring at most, or a record and the padding before it might never fit together.
    if (size > capacity_ / 2) return false;
    const std::uint64_t offset = head_ % capacity_;
    std::uint64_t skip = capacity_ - offset < size ? capacity_ - offset : 0;
    if (skip == 0 && offset > kShortLap) {
        known_tail_ = std::atomic_ref(layout_->tail).load(std::memory_order_acquire);
        if (known_tail_ == head_) skip = capacity_ - offset;
    }
    if (head_ + skip + size - known_tail_ > capacity_) {
        known_tail_ = std::atomic_ref(layout_->tail).load(std::memory_order_acquire);
        if (head_ + skip + size - known_tail_ > capacity_) return false;
    }
    // Positions are multiples of 8 and a header has 24 bytes: a shorter rest is skipped unmarked.
    if (skip >= sizeof(FrameHeader)) write_frame(data_ + offset, FrameKind::kPad, head_, {});
    const std::uint64_t start = head_ + skip;
    write_frame(data_ + start % capacity_, FrameKind::kRecord, start, payload);
    publish(start + size);
    return true;
}

std::optional<std::string_view> Ring::next() noexcept {
    const std::uint64_t head = std::atomic_ref(layout_->head).load(std::memory_order_acquire);
    while (cursor_ != head) {
        const std::uint64_t offset = cursor_ % capacity_;
        const std::uint64_t to_end = capacity_ - offset;
        if (to_end < sizeof(FrameHeader)) {
            cursor_ += to_end;
            continue;
        }
        const Frame frame = read_frame({data_ + offset, std::min(to_end, head - cursor_)}, cursor_);
        touched_ = std::max(touched_, offset + frame.size);
        if (frame.size == 0) {
            // Someone wrote over our memory. What follows cannot be found: give it up, say so.
            damaged_ += head - cursor_;
            cursor_ = head;
            break;
        }
        if (frame.kind == FrameKind::kPad) {
            cursor_ += to_end;
            continue;
        }
        cursor_ += frame.size;
        return frame.payload;
    }
    return std::nullopt;
}

void Ring::release() noexcept {
    std::atomic_ref(layout_->tail).store(cursor_, std::memory_order_release);
}

void Ring::rewind() noexcept {
    cursor_ = std::atomic_ref(layout_->tail).load(std::memory_order_relaxed);
}

void Ring::trim() noexcept {
    if (touched_ <= kShortLap) return;
    // A shared file mapping loses nothing by this: the pages are the page cache's.
    ::madvise(data_, capacity_, MADV_DONTNEED);
    touched_ = 0;
}

std::uint64_t Ring::used() const noexcept {
    const std::uint64_t tail = std::atomic_ref(layout_->tail).load(std::memory_order_acquire);
    const std::uint64_t head = std::atomic_ref(layout_->head).load(std::memory_order_acquire);
    return head - tail;
}

bool Ring::has_unread() const noexcept {
    return std::atomic_ref(layout_->head).load(std::memory_order_seq_cst) != cursor_;
}

}  // namespace leeway::ledger
