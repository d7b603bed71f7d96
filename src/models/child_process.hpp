#pragma once

#include "base/result.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace leeway::models {

/// A child process of the calling thread. Not thread-safe.
///
/// It gets nothing of ours but standard input to error, the environment given, an empty signal mask and
/// a process group of its own (Ctrl-C in a terminal is ours to handle). Safe to start from a process
/// with many threads: it is cloned and executed without running our code in between.
class ChildProcess {
public:
    /// Errors: kUnavailable with the reason in words.
    [[nodiscard]] static Result<ChildProcess> start(const std::string& program,
                                                    const std::vector<std::string>& arguments,
                                                    const std::vector<std::string>& environment);
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&&) = delete;
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ~ChildProcess();  ///< kills and reaps it if it still runs

    [[nodiscard]] int pid() const noexcept { return pid_; }
    /// Readable once the child has ended; -1 where the system has no such thing.
    [[nodiscard]] int exit_descriptor() const noexcept { return exit_descriptor_; }
    /// How it ended ("was killed by SIGKILL", "exited with status 1"), nullopt while it runs.
    [[nodiscard]] std::optional<std::string> poll_exit();
    void send_signal(int number) noexcept;
    /// SIGTERM, SIGKILL after `grace`; returns how it ended.
    std::string stop(std::chrono::milliseconds grace);

private:
    ChildProcess(int pid, int exit_descriptor) noexcept
        : pid_(pid), exit_descriptor_(exit_descriptor) {}

    int pid_ = 0;  // 0: moved from, or reaped
    int exit_descriptor_ = -1;
    std::string ended_;
};

/// "was killed by SIGKILL", "exited with status 3": from the status of waitpid.
[[nodiscard]] std::string describe_exit(int wait_status);

}  // namespace leeway::models
