#include "models/host/gguf_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace leeway::models {

static_assert(std::endian::native == std::endian::little, "GGUF numbers are read as they lie");

GgufReader::GgufReader(const std::filesystem::path& file)
    : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {  // a pipe must not hang us
    struct stat status{};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
        fail_with(fmt::format("cannot be opened: {}", std::strerror(errno)));
    } else if (!S_ISREG(status.st_mode)) {
        fail_with("is not a regular file");
    } else {
        size_ = static_cast<std::uint64_t>(status.st_size);
    }
}

GgufReader::~GgufReader() {
    if (fd_ >= 0) ::close(fd_);
}

void GgufReader::fail_with(std::string problem) {
    if (failed_) return;
    failed_ = true;
    problem_ = std::move(problem);
}

std::string GgufReader::text(std::uint64_t limit, const char* what) {
    const auto length = number<std::uint64_t>();
    if (length > limit || length > left()) {
        fail_with(
            fmt::format("{} at byte {} claims {} bytes ({} are left in the file, at most {} are "
                        "allowed)",
                        what, position_, length, left(), limit));
    }
    if (failed_) return {};
    std::string value(static_cast<std::size_t>(length), '\0');
    read(value.data(), value.size());
    return value;
}

void GgufReader::skip_text(std::uint64_t limit, const char* what) {
    const auto length = number<std::uint64_t>();
    if (length > limit || length > left()) {
        fail_with(
            fmt::format("{} at byte {} claims {} bytes ({} are left in the file, at most {} are "
                        "allowed)",
                        what, position_, length, left(), limit));
    }
    skip(length);
}

void GgufReader::skip(std::uint64_t count) {
    if (failed_) return;
    if (count > left()) return fail_with(fmt::format("is cut at byte {}", size_));
    position_ += count;
}

bool GgufReader::read(char* to, std::size_t count) {
    if (failed_) return false;
    if (count > left()) {
        fail_with(fmt::format("is cut at byte {}", size_));
        return false;
    }
    while (count > 0) {
        const std::uint64_t offset = position_ - buffer_start_;
        if (position_ < buffer_start_ || offset >= buffer_size_) {
            if (!fill()) return false;
            continue;
        }
        const std::size_t part = std::min(count, buffer_size_ - static_cast<std::size_t>(offset));
        std::memcpy(to, buffer_.data() + offset, part);
        to += part;
        count -= part;
        position_ += part;
    }
    return true;
}

bool GgufReader::fill() {
    ssize_t got = 0;
    do {
        got = ::pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(position_));
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        fail_with(got == 0 ? fmt::format("became shorter than {} bytes while it was read", size_)
                           : fmt::format("cannot be read: {}", std::strerror(errno)));
        return false;
    }
    buffer_start_ = position_;
    buffer_size_ = static_cast<std::size_t>(got);
    return true;
}

}  // namespace leeway::models
