#include "models/child_process.hpp"

#include "base/clock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace leeway::models {
namespace {

constexpr int kFirstClosed = 3;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    // posix_spawn takes them as non-const for history's sake and changes nothing.
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

int open_pidfd(int pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)); }

}  // namespace

std::string describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        const int number = WTERMSIG(wait_status);
        const char* name = ::sigabbrev_np(number);
        const char* core = WCOREDUMP(wait_status) ? " (core dumped)" : "";
        if (name == nullptr) return fmt::format("was killed by signal {}{}", number, core);
        return fmt::format("was killed by SIG{}{}", name, core);
    }
    return fmt::format("exited with status {}", WEXITSTATUS(wait_status));
}

Result<ChildProcess> ChildProcess::start(const std::string& program,
                                         const std::vector<std::string>& arguments,
                                         const std::vector<std::string>& environment) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    // Not every descriptor of ours is close-on-exec (accepted sockets are not), and a client's connection
    // that the child holds open would never end.
    ::posix_spawn_file_actions_addclosefrom_np(&actions, kFirstClosed);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::vector<std::string> all_arguments{"leeway"};
    all_arguments.insert(all_arguments.end(), arguments.begin(), arguments.end());
    const std::vector<char*> argv = pointers(all_arguments);
    const std::vector<char*> envp = pointers(environment);
    pid_t pid = 0;
    const int error =
        ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("cannot start {}: {}", program, std::strerror(error)));
    }
    return ChildProcess(pid, open_pidfd(pid));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      exit_descriptor_(std::exchange(other.exit_descriptor_, -1)),
      ended_(std::move(other.ended_)) {}

ChildProcess::~ChildProcess() {
    if (pid_ != 0) {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    if (exit_descriptor_ >= 0) ::close(exit_descriptor_);
}

std::optional<std::string> ChildProcess::poll_exit() {
    if (pid_ == 0) return ended_;
    int status = 0;
    const pid_t done = ::waitpid(pid_, &status, WNOHANG);
    if (done == 0 || (done < 0 && errno == EINTR)) return std::nullopt;
    ended_ = done < 0 ? "ended in a way that was not seen" : describe_exit(status);
    pid_ = 0;
    return ended_;
}

void ChildProcess::send_signal(int number) noexcept {
    if (pid_ != 0) ::kill(pid_, number);
}

std::string ChildProcess::stop(std::chrono::milliseconds grace) {
    send_signal(SIGTERM);
    const TimePoint end = monotonic_now() + grace;
    bool killed = false;
    for (;;) {
        if (const auto ended = poll_exit()) return *ended;
        if (!killed && monotonic_now() >= end) {
            send_signal(SIGKILL);
            killed = true;
        }
        pollfd wait{exit_descriptor_, POLLIN,
                    0};  // a negative descriptor is skipped: a plain pause
        constexpr int kPauseMs = 10;
        ::poll(&wait, 1, kPauseMs);
    }
}

}  // namespace leeway::models
