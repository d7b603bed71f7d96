#include "base/memory_limit.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace leeway {
namespace {

/// The number in a file; "max", no number and no file are no limit.
std::uint64_t limit_in(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t out = 0;
    return file >> out ? out : UINT64_MAX;
}

/// The least limit of a group and of those above it, as far as they can be seen from here.
std::uint64_t least_of_groups(const std::string& mount, std::string group, const char* file) {
    std::uint64_t least = UINT64_MAX;
    for (;;) {
        least = std::min(least, limit_in(mount + group + "/" + file));
        const auto slash = group.rfind('/');
        if (slash == std::string::npos) return least;
        group.erase(slash);
    }
}

std::uint64_t limit_of_groups() {
    std::ifstream file("/proc/self/cgroup");
    std::uint64_t least = UINT64_MAX;
    std::string line;
    while (std::getline(file, line)) {  // NUMBER:CONTROLLERS:PATH
        const auto first = line.find(':');
        const auto second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty()) {
            least = std::min(least, least_of_groups("/sys/fs/cgroup", group, "memory.max"));
        } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
            least = std::min(
                least, least_of_groups("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    return least;
}

}  // namespace

std::uint64_t memory_limit() {
    std::uint64_t least = limit_of_groups();
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page = ::sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0)
        least =
            std::min(least, static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page));
    rlimit space{};
    if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        least = std::min<std::uint64_t>(least, space.rlim_cur);
    return least;
}

}  // namespace leeway
