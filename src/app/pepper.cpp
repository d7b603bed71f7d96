#include "app/pepper.hpp"

#include "base/random.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace leeway::app {
namespace {

constexpr std::size_t kPepperBytes = 32;

/// A file descriptor that closes itself.
class File {
public:
    explicit File(int fd) noexcept : fd_(fd) {}
    ~File() {
        if (fd_ >= 0) close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool ok() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

tl::unexpected<Error> system_failure(const std::string& what, const std::string& path) {
    return fail(ErrorCode::kConfig,
                fmt::format("{} {}: {}", what, path, std::generic_category().message(errno)),
                "check the permissions and the free space of the state folder");
}

/// Writes the bytes to a file of their own and gives it the final name only when they are on the
/// disk, so that nobody ever reads half a pepper. The first of several processes wins.
Result<void> create_pepper(const std::string& path) {
    std::array<std::uint8_t, kPepperBytes> bytes{};
    secure_random(bytes);
    const std::string draft = fmt::format("{}.{}.new", path, getpid());
    const File file(open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.ok()) return system_failure("cannot make", draft);
    const bool written =
        write(file.fd(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
        fsync(file.fd()) == 0;
    const bool linked = written && (link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST);
    const int error = errno;
    unlink(draft.c_str());
    errno = error;
    if (!linked) return system_failure("cannot write", path);
    return {};
}

}  // namespace

Result<void> make_private_folder(const std::string& folder) {
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) return {};
    const mode_t before = umask(0077);
    std::filesystem::create_directories(folder, error);
    umask(before);
    if (!error) return {};
    return fail(ErrorCode::kConfig,
                fmt::format("cannot make the state folder {}: {}", folder, error.message()),
                "choose another with server.state or --state DIR");
}

Result<Secret> load_pepper(const std::string& state_folder, bool may_create) {
    const std::string path = state_folder + "/pepper";
    if (access(path.c_str(), F_OK) != 0) {
        if (!may_create) {
            return fail(
                ErrorCode::kConfig,
                fmt::format("{} is missing, and without it no stored key can be checked", path),
                "restore it from a backup, or remove keys.db beside it and make new keys");
        }
        if (auto made = create_pepper(path); !made) return fail(made.error());
    }
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.ok()) return system_failure("cannot read", path);
    struct stat info{};
    if (fstat(file.fd(), &info) != 0) return system_failure("cannot read", path);
    if ((info.st_mode & 077) != 0) {
        return fail(ErrorCode::kConfig, fmt::format("{} can be read by other users", path),
                    fmt::format("chmod 600 {}", path));
    }
    std::string bytes(kPepperBytes + 1, '\0');
    const ssize_t got = read(file.fd(), bytes.data(), bytes.size());
    if (got != static_cast<ssize_t>(kPepperBytes)) {
        return fail(ErrorCode::kConfig, fmt::format("{} does not hold 32 bytes", path),
                    "restore it from a backup");
    }
    bytes.resize(kPepperBytes);
    return Secret(std::move(bytes));
}

}  // namespace leeway::app
