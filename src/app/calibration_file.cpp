#include "app/calibration_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <system_error>

namespace leeway::app {
namespace {

std::string path_in(const std::string& state_folder) { return state_folder + "/calibration.json"; }

tl::unexpected<Error> system_failure(const char* what, const std::string& path) {
    return fail(ErrorCode::kConfig,
                fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(errno)),
                "check the permissions and the free space of the state folder");
}

}  // namespace

Result<void> load_calibration(const std::string& state_folder, tokens::CalibrationBook& book) {
    const std::string path = path_in(state_folder);
    if (::access(path.c_str(), F_OK) != 0) return {};
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    if (!file.is_open() || file.bad()) return system_failure("read", path);
    if (auto taken = book.restore(text); !taken) {
        return fail(ErrorCode::kConfig, fmt::format("{}: {}", path, taken.error().message),
                    "remove it: it is learned again");
    }
    return {};
}

Result<void> save_calibration(const std::string& state_folder,
                              const tokens::CalibrationBook& book) {
    const std::string path = path_in(state_folder);
    const std::string fresh = path + ".new";
    const std::string text = book.text();
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return system_failure("write", fresh);
    const bool written =
        ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(fd) == 0;
    ::close(fd);
    if (!written || ::rename(fresh.c_str(), path.c_str()) != 0) {
        return system_failure("write", path);
    }
    return {};
}

}  // namespace leeway::app
