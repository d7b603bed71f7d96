#include "models/embed/vector_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace leeway::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "LWVEC001";
constexpr std::size_t kHeaderBytes = 128;
// Nobody needs more questions than this (5 million of MiniLM), and a disk has an end.
constexpr std::uint64_t kMostBytes = std::uint64_t{8} << 30U;

/// "LWVEC001", dimension, fingerprint (64 characters), zeros, checksum of what is before it.
std::string header_of(std::string_view fingerprint, std::uint32_t dimension) {
    std::string out(kMagic);
    out.append(reinterpret_cast<const char*>(&dimension), sizeof dimension);
    out.append(fingerprint);
    out.resize(kHeaderBytes - sizeof(std::uint64_t), '\0');
    const std::uint64_t check = checksum64(out);
    out.append(reinterpret_cast<const char*>(&check), sizeof check);
    return out;
}

Error problem(const char* doing, const std::string& path) {
    return {.code = ErrorCode::kConfig,
            .message = fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)),
            .hint = "free or give room there, or go without: --no-embedding-cache",
            .param = {},
            .reason = "io_error"};
}

/// Held while the file's end is looked at and moved.
class FileLock {
public:
    explicit FileLock(int fd) noexcept : fd_(fd) {
        while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
        }
    }
    ~FileLock() { ::flock(fd_, LOCK_UN); }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

private:
    int fd_;
};

std::uint64_t size_of(int fd) noexcept {
    struct stat facts{};
    return ::fstat(fd, &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

bool write_all(int fd, std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

}  // namespace

Result<VectorFile> VectorFile::open(const fs::path& folder, std::string_view fingerprint,
                                    std::uint32_t dimension) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    const std::string path =
        (folder / fmt::format("{}.vectors", fingerprint.substr(0, 32))).string();
    const std::string header = header_of(fingerprint, dimension);
    for (int attempt = 0;; ++attempt) {
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0) return fail(problem("open", path));
        VectorFile file(fd, path, dimension);
        const FileLock lock(fd);
        if (size_of(fd) == 0) {
            if (!write_all(fd, header)) {
                Error error = problem("write", path);
                (void)!::ftruncate(fd, 0);
                return fail(std::move(error));
            }
            return file;
        }
        std::array<char, kHeaderBytes> found{};
        const ssize_t n = ::pread(fd, found.data(), found.size(), 0);
        if (n == static_cast<ssize_t>(kHeaderBytes) &&
            std::string_view(found.data(), found.size()) == header) {
            return file;
        }
        // Another process may have it mapped, so it is replaced and not emptied.
        if (attempt > 0 || ::unlink(path.c_str()) != 0) return fail(problem("replace", path));
    }
}

VectorFile::VectorFile(VectorFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      dimension_(other.dimension_),
      map_(std::exchange(other.map_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      indexed_(std::exchange(other.indexed_, 0)),
      records_(std::move(other.records_)) {}

VectorFile::~VectorFile() {
    unmap();
    if (fd_ >= 0) ::close(fd_);
}

void VectorFile::unmap() noexcept {
    if (map_ != nullptr) ::munmap(const_cast<char*>(map_), mapped_);
    map_ = nullptr;
    mapped_ = 0;
}

std::size_t VectorFile::record_bytes() const noexcept {
    return sizeof(Sha256) + dimension_ * sizeof(float) + sizeof(std::uint64_t);
}

void VectorFile::refresh() {
    const std::uint64_t size = size_of(fd_);
    const std::size_t whole = size < kHeaderBytes ? 0 : (size - kHeaderBytes) / record_bytes();
    if (whole <= indexed_) return;
    unmap();
    // Only whole records are mapped: a writer never cuts those off.
    const std::size_t bytes = kHeaderBytes + whole * record_bytes();
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd_, 0);
    if (map == MAP_FAILED) {
        records_.clear();  // what was known cannot be read any more
        indexed_ = 0;
        return;
    }
    map_ = static_cast<const char*>(map);
    mapped_ = bytes;
    records_.reserve(whole);
    for (; indexed_ < whole; ++indexed_) {
        Sha256 text{};
        std::memcpy(text.data(), map_ + kHeaderBytes + indexed_ * record_bytes(), sizeof text);
        records_[text] = static_cast<std::uint32_t>(indexed_);
    }
}

std::span<const float> VectorFile::find(const Sha256& text) const noexcept {
    const auto found = records_.find(text);
    if (found == records_.end()) return {};
    const char* record = map_ + kHeaderBytes + found->second * record_bytes();
    const std::size_t checked = record_bytes() - sizeof(std::uint64_t);
    std::uint64_t check = 0;
    std::memcpy(&check, record + checked, sizeof check);
    if (check != checksum64({record, checked})) return {};
    // The header, the hash and the check value are multiples of eight bytes, so floats are aligned.
    return {reinterpret_cast<const float*>(record + sizeof(Sha256)), dimension_};
}

Result<void> VectorFile::append(std::span<const Sha256> texts, std::span<const float> values) {
    std::string bytes;
    bytes.reserve(texts.size() * record_bytes());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::size_t start = bytes.size();
        bytes.append(reinterpret_cast<const char*>(texts[i].data()), sizeof(Sha256));
        bytes.append(reinterpret_cast<const char*>(values.data() + i * dimension_),
                     dimension_ * sizeof(float));
        const std::uint64_t check = checksum64(std::string_view(bytes).substr(start));
        bytes.append(reinterpret_cast<const char*>(&check), sizeof check);
    }
    const FileLock lock(fd_);
    const std::uint64_t size = size_of(fd_);
    if (size < kHeaderBytes || size + bytes.size() > kMostBytes) return {};
    // The tail of a writer that died would shift all that comes after it.
    const std::uint64_t tail = (size - kHeaderBytes) % record_bytes();
    if (tail != 0 && ::ftruncate(fd_, static_cast<off_t>(size - tail)) != 0) {
        return fail(problem("cut", path_));
    }
    if (!write_all(fd_, bytes)) return fail(problem("write", path_));
    return {};
}

}  // namespace leeway::models
