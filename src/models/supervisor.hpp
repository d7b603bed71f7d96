#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace leeway::models {

/// How the child process is started and kept.
struct SupervisorOptions {
    std::string program = "/proc/self/exe";  ///< its path is resolved when the supervisor is made
    std::vector<std::string> arguments;  ///< see `host_arguments`
    std::vector<std::string> environment;  ///< "NAME=value" on top of what is harmless of ours
    std::string socket_path;  ///< where the child listens
    std::chrono::milliseconds start_limit{30'000};  ///< from the start until it listens
    std::chrono::milliseconds first_backoff{200};  ///< doubled by each failure in a row
    std::chrono::milliseconds longest_backoff{30'000};
    std::chrono::milliseconds healthy_after{60'000};  ///< running so long forgets earlier failures
    std::chrono::milliseconds stop_grace{3'000};  ///< between SIGTERM and SIGKILL
};

/// A model that the child may serve: the allow-list.
struct HostModel {
    std::string name;
    std::string file;  ///< name inside the folder
    std::string sha256;  ///< expected, 64 hex digits; empty: not checked
};

/// What the child is told.
struct HostSettings {
    std::string folder;
    std::vector<HostModel> models;
    std::uint32_t threads = 1;
    std::uint32_t parallel = 4;
    std::uint32_t context = 4096;
    std::uint64_t memory_bytes = 0;  ///< 0: no cap
    std::string log_level;  ///< empty: info
    bool log_json = false;
};

/// The command line of `leeway model-host` for these settings.
[[nodiscard]] std::vector<std::string> host_arguments(const HostSettings& settings,
                                                      const std::string& socket_path);

/// What goes along with it in the environment: how to log.
[[nodiscard]] std::vector<std::string> host_environment(const HostSettings& settings);

/// `<state>/model-host.sock` (`model-host-N.sock` for the number N > 0), or, where that is too long for a socket address (107 bytes), a path in a
/// folder of this user under /tmp that only it can enter. Errors: that folder cannot be made or is
/// somebody else's.
[[nodiscard]] Result<std::string> host_socket_path(const std::string& state_folder,
                                                   unsigned number = 0);

enum class HostPhase : std::uint8_t { kIdle, kStarting, kRunning, kBackingOff, kStopped };

struct HostState {
    HostPhase phase = HostPhase::kIdle;
    TimePoint until{};  ///< kBackingOff: when the next start is tried
    std::string why;  ///< how the child ended last; empty: it never did
    std::uint64_t starts = 0;  ///< since the supervisor was made
    int pid = 0;  ///< 0: no child
};

/// Keeps `leeway model-host` running: starts it on the first need, waits until it listens, starts it
/// again when it ends (after a pause that grows with failures in a row), and stops it at the end. All
/// of it happens on one thread of its own ("models"), which lives as long as the child, because the
/// child dies with the thread that started it. Thread-safe.
class Supervisor {
public:
    explicit Supervisor(SupervisorOptions options);
    ~Supervisor();  ///< stops the child
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Asks for the child and says where it stands; never waits.
    HostState ensure_running();
    [[nodiscard]] HostState state() const;
    /// Whether it listens. One atomic read.
    [[nodiscard]] bool running() const noexcept;

    /// Asks for the child and calls `done` on `executor` once it listens, or cannot be had soon: it
    /// failed and the next try is more than a second away, or the supervisor stops (kUnavailable). The
    /// executor must live until then.
    void when_ready(Executor& executor, std::function<void(Result<void>)> done);
    /// The same for a coroutine on `loop`; also ends with the deadline's error when that is interrupted.
    /// Costs one atomic read while the child runs.
    [[nodiscard]] Task<Result<void>> wait_ready(net::EventLoop& loop, net::Deadline& deadline);

    /// The error for a request whose connection to the child broke: says that the child ended and how,
    /// as far as that is known yet.
    [[nodiscard]] Error crash_error() const;

    /// SIGTERM, then SIGKILL after `stop_grace`; returns when the child is gone. Later requests fail.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace leeway::models
