#include "ledger/state_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

namespace leeway::ledger {
namespace {

constexpr auto kRetryEvery = std::chrono::milliseconds(20);

std::string read_owner(int fd) {
    std::array<char, 32> text{};
    const ssize_t n = ::pread(fd, text.data(), text.size() - 1, 0);
    std::string owner(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    owner.erase(owner.find_last_not_of("\n ") + 1);
    return owner.empty() ? "unknown" : owner;
}

Error lock_error(const std::string& path, const char* doing) {
    return {.code = ErrorCode::kConfig,
            .message = fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)),
            .hint = "check that the state folder exists and belongs to this user",
            .param = {},
            .reason = "io_error"};
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::string& state_dir, Duration patience) {
    const std::string path = state_dir + "/leeway.lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(lock_error(path, "open"));
    StateLock lock(fd);
    const TimePoint until = monotonic_now() + patience;
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return fail(lock_error(path, "lock"));
        if (monotonic_now() >= until) {
            Error error{.code = ErrorCode::kConfig,
                        .message = fmt::format("the state folder {} is in use by process {}",
                                               state_dir, read_owner(fd)),
                        .hint = "stop that process, or give this one another state folder",
                        .param = {},
                        .reason = "in_use"};
            return fail(std::move(error));
        }
        std::this_thread::sleep_for(kRetryEvery);
    }
    const std::string pid = fmt::format("{}\n", ::getpid());
    // Only for the message above; on a full disk the lock itself still holds.
    if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, pid.data(), pid.size(), 0);
    return lock;
}

StateLock::~StateLock() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace leeway::ledger
