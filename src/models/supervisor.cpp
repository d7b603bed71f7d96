#include "models/supervisor.hpp"

#include "base/hash.hpp"
#include "models/child_process.hpp"
#include "models/loop_wait.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

namespace leeway::models {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr milliseconds kReadyPoll{10};
// While the child runs, for systems without a descriptor that tells its end.
constexpr milliseconds kExitPoll{100};
// A request waits for a restart that is this near, and fails at once otherwise.
constexpr milliseconds kWorthWaiting{1'000};

/// Only what a child process needs: the gateway's environment holds API keys.
bool passes_on(std::string_view variable) {
    constexpr std::array<std::string_view, 16> kNames{
        "PATH=",         "HOME=",         "LANG=",          "LC_",
        "TZ=",           "TMPDIR=",       "USER=",          "TERM=",
        "NO_COLOR=",     "LEEWAY_CACHE=", "LEEWAY_MODELS=", "GGML_",
        "ASAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    return std::any_of(kNames.begin(), kNames.end(),
                       [&](std::string_view name) { return variable.starts_with(name); });
}

std::vector<std::string> child_environment(const std::vector<std::string>& added) {
    std::vector<std::string> out = added;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        if (passes_on(*entry)) out.emplace_back(*entry);
    }
    // It asks the kernel to end it with us; the number lets it see that we are gone already.
    out.push_back(fmt::format("LEEWAY_SUPERVISED_BY={}", ::getpid()));
    return out;
}

bool listens(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, path.c_str(), std::min(path.size(), kLongestSocketPath));
    const bool yes = ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    ::close(fd);
    return yes;
}

Error unavailable(std::string message, std::string hint) {
    return Error{
        ErrorCode::kUnavailable, std::move(message), std::move(hint), {}, "model_host_unavailable"};
}

}  // namespace

std::vector<std::string> host_arguments(const HostSettings& settings,
                                        const std::string& socket_path) {
    std::vector<std::string> out{"model-host", "--listen", "unix:" + socket_path, "--folder",
                                 settings.folder};
    for (const HostModel& model : settings.models) {
        out.emplace_back("--model");
        std::string value = model.name + "=" + model.file;
        if (!model.sha256.empty()) value += "@" + model.sha256;
        out.push_back(std::move(value));
    }
    const auto number = [&](const char* option, std::uint64_t value) {
        out.emplace_back(option);
        out.push_back(std::to_string(value));
    };
    number("--threads", settings.threads);
    number("--parallel", settings.parallel);
    number("--context", settings.context);
    if (settings.memory_bytes != 0) number("--memory", settings.memory_bytes);
    return out;
}

std::vector<std::string> host_environment(const HostSettings& settings) {
    std::vector<std::string> out;
    if (!settings.log_level.empty()) out.push_back("LEEWAY_LOG_LEVEL=" + settings.log_level);
    if (settings.log_json) out.emplace_back("LEEWAY_LOG_FORMAT=json");
    return out;
}

Result<std::string> host_socket_path(const std::string& state_folder, unsigned number) {
    const std::string ending = number == 0 ? ".sock" : fmt::format("-{}.sock", number);
    std::string path = state_folder + "/model-host" + ending;
    if (path.size() <= kLongestSocketPath) return path;
    const std::string folder = fmt::format("/tmp/leeway-{}", ::getuid());
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail(ErrorCode::kConfig,
                    fmt::format("cannot make {}: {}", folder, std::strerror(errno)),
                    "set server.state to a shorter path");
    }
    struct stat info{};
    if (::lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) ||
        info.st_uid != ::getuid() || (info.st_mode & 077) != 0) {
        return fail(ErrorCode::kConfig,
                    fmt::format("{} is not a folder that only this user can enter", folder),
                    "remove it, or set server.state to a shorter path");
    }
    const Sha256 hash = sha256(state_folder);
    constexpr std::size_t kHashBytes = 8;
    return fmt::format("{}/{}{}", folder, to_hex({hash.data(), kHashBytes}), ending);
}

struct Supervisor::Impl {
    struct Waiter {
        Executor* executor;
        std::function<void(Result<void>)> done;
    };

    explicit Impl(SupervisorOptions o)
        : options(std::move(o)), wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        std::error_code error;
        const auto real = std::filesystem::canonical(options.program, error);
        if (!error) options.program = real.string();
    }
    ~Impl() { ::close(wake_fd); }

    void run();
    bool wait_for_need();
    std::string run_child(ChildProcess& child, bool& was_healthy);
    bool back_off(const std::string& why, milliseconds pause);
    void enter(HostPhase phase, int pid);
    void answer_all(const std::optional<Error>& error);
    void wake() const noexcept { ::eventfd_write(wake_fd, 1); }
    bool pause(int exit_fd, milliseconds most);
    [[nodiscard]] Error backing_off_error() const;

    SupervisorOptions options;
    const int wake_fd;
    std::atomic<bool> is_running{false};

    mutable std::mutex mutex;
    HostState now;
    bool wanted = false;
    bool stopping = false;
    TimePoint ended_at{};
    std::vector<Waiter> waiters;
    std::thread thread;
};

// Waits until something is to be looked at. False: the supervisor stops.
bool Supervisor::Impl::pause(int exit_fd, milliseconds most) {
    std::array<pollfd, 2> fds{pollfd{wake_fd, POLLIN, 0}, pollfd{exit_fd, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(most.count()));
    eventfd_t drained = 0;
    ::eventfd_read(wake_fd, &drained);
    const std::scoped_lock lock(mutex);
    return !stopping;
}

bool Supervisor::Impl::wait_for_need() {
    constexpr milliseconds kLong{3'600'000};
    for (;;) {
        {
            const std::scoped_lock lock(mutex);
            if (stopping) return false;
            if (wanted) return true;
        }
        if (!pause(-1, kLong)) return false;
    }
}

void Supervisor::Impl::enter(HostPhase phase, int pid) {
    const std::scoped_lock lock(mutex);
    now.phase = phase;
    now.pid = pid;
    if (phase == HostPhase::kStarting) ++now.starts;
    is_running.store(phase == HostPhase::kRunning, std::memory_order_release);
}

void Supervisor::Impl::answer_all(const std::optional<Error>& error) {
    std::vector<Waiter> ready;
    {
        const std::scoped_lock lock(mutex);
        ready.swap(waiters);
    }
    for (Waiter& waiter : ready) {
        waiter.executor->post([done = std::move(waiter.done), error] {
            if (error) {
                done(fail(*error));
            } else {
                done(Result<void>());
            }
        });
    }
}

Error Supervisor::Impl::backing_off_error() const {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(now.until - monotonic_now());
    return unavailable(
        fmt::format("the process that runs local models {}", now.why),
        fmt::format("it is started again in {} s; its log says why it ended",
                    std::max<std::int64_t>(1, static_cast<std::int64_t>(left.count()))));
}

// From the start of the child to its end (how, in words); or to our own stop.
std::string Supervisor::Impl::run_child(ChildProcess& child, bool& was_healthy) {
    const TimePoint started = monotonic_now();
    const auto age = [&] {
        return std::chrono::duration_cast<milliseconds>(monotonic_now() - started);
    };
    while (!listens(options.socket_path)) {
        if (auto ended = child.poll_exit()) return *ended + " before it listened";
        if (age() > options.start_limit) {
            child.stop(options.stop_grace);
            return fmt::format("did not listen within {} ms", options.start_limit.count());
        }
        if (!pause(child.exit_descriptor(), kReadyPoll)) return child.stop(options.stop_grace);
    }
    enter(HostPhase::kRunning, child.pid());
    spdlog::info("model-host (pid {}) is ready after {} ms", child.pid(), age().count());
    answer_all(std::nullopt);
    const bool can_wait = child.exit_descriptor() >= 0;
    for (;;) {
        if (auto ended = child.poll_exit()) {
            was_healthy = age() >= options.healthy_after;
            return *ended;
        }
        const milliseconds most = can_wait ? milliseconds(3'600'000) : kExitPoll;
        if (!pause(child.exit_descriptor(), most)) return child.stop(options.stop_grace);
    }
}

// False: the supervisor stops.
bool Supervisor::Impl::back_off(const std::string& why, milliseconds length) {
    const TimePoint until = monotonic_now() + length;
    Error error;
    {
        const std::scoped_lock lock(mutex);
        if (stopping) return false;
        now.phase = HostPhase::kBackingOff;
        now.pid = 0;
        now.until = until;
        now.why = why;
        ended_at = monotonic_now();
        is_running.store(false, std::memory_order_release);
        error = backing_off_error();
    }
    spdlog::error("model-host {}; starting it again in {} ms", why, length.count());
    if (length > kWorthWaiting) answer_all(error);
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(until - monotonic_now());
        if (left.count() <= 0) return true;
        if (!pause(-1, left + milliseconds(1))) return false;
    }
}

void Supervisor::Impl::run() {
    ::pthread_setname_np(::pthread_self(), "models");
    milliseconds next = options.first_backoff;
    while (wait_for_need()) {
        ::unlink(options.socket_path.c_str());  // of a child that was killed: nobody listens there
        enter(HostPhase::kStarting, 0);
        std::string why;
        bool was_healthy = false;
        {
            auto child = ChildProcess::start(options.program, options.arguments,
                                             child_environment(options.environment));
            if (child) {
                {
                    const std::scoped_lock lock(mutex);
                    now.pid = child->pid();
                }
                spdlog::info("model-host: started as pid {}", child->pid());
                why = run_child(*child, was_healthy);
            } else {
                why = "could not be started: " + child.error().message;
            }
        }
        if (was_healthy) next = options.first_backoff;
        if (!back_off(why, next)) break;
        next = std::min(next * 2, options.longest_backoff);
    }
    enter(HostPhase::kStopped, 0);
    answer_all(unavailable("the gateway is shutting down", "send the request again"));
    ::unlink(options.socket_path.c_str());
}

Supervisor::Supervisor(SupervisorOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

Supervisor::~Supervisor() { stop(); }

HostState Supervisor::ensure_running() {
    Impl& impl = *impl_;
    const std::scoped_lock lock(impl.mutex);
    if (!impl.wanted && !impl.stopping) {
        impl.wanted = true;
        impl.now.phase = HostPhase::kStarting;
        if (!impl.thread.joinable()) impl.thread = std::thread([&impl] { impl.run(); });
    }
    return impl.now;
}

HostState Supervisor::state() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->now;
}

bool Supervisor::running() const noexcept {
    return impl_->is_running.load(std::memory_order_acquire);
}

void Supervisor::when_ready(Executor& executor, std::function<void(Result<void>)> done) {
    ensure_running();
    std::optional<Error> error;
    {
        const std::scoped_lock lock(impl_->mutex);
        const HostState& now = impl_->now;
        const bool far =
            now.phase == HostPhase::kBackingOff && now.until - monotonic_now() > kWorthWaiting;
        if (impl_->stopping || now.phase == HostPhase::kStopped) {
            error = unavailable("the gateway is shutting down", "send the request again");
        } else if (far) {
            error = impl_->backing_off_error();
        } else if (now.phase != HostPhase::kRunning) {
            impl_->waiters.push_back({&executor, std::move(done)});
            return;
        }
    }
    executor.post([done = std::move(done), error] {
        if (error) {
            done(fail(*error));
        } else {
            done(Result<void>());
        }
    });
}

Task<Result<void>> Supervisor::wait_ready(net::EventLoop& loop, net::Deadline& deadline) {
    if (running()) co_return Result<void>();
    if (deadline.interrupted()) co_return fail(deadline.error());
    using Wait = LoopWait<Result<void>>;
    const auto wait = std::make_shared<Wait>(loop);
    const net::Deadline::Guard guard(deadline, &Wait::interrupt, wait.get());
    std::function<void(Result<void>)> done = [wait](Result<void> result) {
        wait->deliver(std::move(result));
    };
    when_ready(loop, std::move(done));
    Wait& awaited = *wait;
    co_await awaited;
    if (wait->has_value()) co_return wait->take();
    co_return fail(deadline.error());
}

Error Supervisor::crash_error() const {
    const std::scoped_lock lock(impl_->mutex);
    constexpr std::chrono::seconds kRecent{2};
    const bool known = !impl_->now.why.empty() && monotonic_now() - impl_->ended_at < kRecent;
    return Error{
        ErrorCode::kUpstreamInvalid,
        fmt::format("the process that runs local models {} while it worked on this request",
                    known ? impl_->now.why : "ended"),
        "it is started again by itself; send the request again",
        {},
        "model_host_crashed"};
}

void Supervisor::stop() {
    {
        const std::scoped_lock lock(impl_->mutex);
        impl_->stopping = true;
        if (!impl_->thread.joinable()) {
            impl_->now.phase = HostPhase::kStopped;
            return;
        }
    }
    impl_->wake();
    impl_->thread.join();
}

}  // namespace leeway::models
