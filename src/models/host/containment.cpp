#include "models/host/containment.hpp"

#include "base/strings.hpp"

#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEEWAY_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define LEEWAY_UNDER_SANITIZER 1
#endif
#endif
#ifndef LEEWAY_UNDER_SANITIZER
#define LEEWAY_UNDER_SANITIZER 0
#endif

namespace leeway::models {
namespace {

// A sanitizer's shadow memory counts as private writable memory.
constexpr bool kUnderSanitizer = LEEWAY_UNDER_SANITIZER != 0;

void limit_memory(std::uint64_t bytes) {
    if (bytes == 0 || kUnderSanitizer) return;
    rlimit limit{};
    if (::getrlimit(RLIMIT_DATA, &limit) != 0) return;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY ? bytes : std::min<rlim_t>(bytes, limit.rlim_max);
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) spdlog::warn("the memory limit could not be set");
}

}  // namespace

Result<void> contain_process(std::uint64_t memory_bytes) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    limit_memory(memory_bytes);
    const char* supervisor = std::getenv("LEEWAY_SUPERVISED_BY");  // NOLINT(concurrency-mt-unsafe)
    if (supervisor == nullptr) return {};
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    // It may have ended between our start and that call.
    const auto pid = parse_u64(supervisor);
    if (pid && static_cast<std::uint64_t>(::getppid()) != *pid) {
        return fail(ErrorCode::kUnavailable, "the gateway that started this process is gone");
    }
    return {};
}

}  // namespace leeway::models
