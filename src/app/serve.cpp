#include "app/commands.hpp"
#include "app/server.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace leeway::app {
namespace {

// How often the configuration file and the key store are looked at for changes.
constexpr long kPollNanoseconds = 200'000'000;

/// Changes when the file is written or replaced.
struct FileStamp {
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;

    static FileStamp of(const std::string& path) {
        struct stat info{};
        if (::stat(path.c_str(), &info) != 0) return {};
        return {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino, info.st_size};
    }
    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

sigset_t handled_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    return set;
}

void say_what_next(const Server& server) {
    const Config& config = server.config();
    spdlog::info("leeway serves on {} with {} models and {} routes; admin on {}", server.url(),
                 config.models.size(), config.routes.size(), server.admin_url());
    std::string model = "MODEL";
    for (const RouteConfig& route : config.routes) {
        if (!route.model.empty()) model = route.name;
    }
    const char* key = server.needs_keys() ? " -H \"Authorization: Bearer $LEEWAY_KEY\"" : "";
    fmt::print(stderr,
               "\n  Ask it something:\n"
               "    curl {}/v1/chat/completions{} -H 'Content-Type: application/json' \\\n"
               "      -d '{{\"model\": \"{}\", \"temperature\": 0, \"messages\": [{{\"role\": "
               "\"user\", \"content\": "
               "\"What is the capital of Greece?\"}}]}}'\n"
               "  See what it cost and saved:  ./run report        Stop it:  Ctrl-C\n\n",
               server.url(), key, model);
}

int report_failure(const Error& error) {
    fmt::print(stderr, "leeway: {}\n", error.message);
    if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
    return 1;
}

/// Waits for signals and changes until it is time to stop.
void watch(Server& server, const sigset_t& signals) {
    const std::string path = server.config().path;
    FileStamp stamp = FileStamp::of(path);
    FileStamp settling = stamp;
    for (;;) {
        const timespec pause{0, kPollNanoseconds};
        const int number = ::sigtimedwait(&signals, nullptr, &pause);
        if (number == SIGTERM || number == SIGINT) return;
        const FileStamp now = FileStamp::of(path);
        // A file that is being written is read when it has been still for one round.
        const bool changed = now == settling && !(now == stamp) && now.size >= 0;
        settling = now;
        if (number == SIGHUP || changed) {
            stamp = now;
            server.reload();
        }
        server.tend();
    }
}

}  // namespace

int run_serve(const ServeOptions& options) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is a write error, not the end
    // Blocked before any thread starts, so that only `watch` sees them.
    const sigset_t signals = handled_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    auto config = load_config_for(options);
    if (!config) return report_failure(config.error());
    telemetry::start_log(config->log.level, config->log.format == "json");
    for (const ProviderConfig& provider : config->providers) {
        if (!provider.disabled_reason.empty())
            spdlog::warn("provider {} is off: {}", provider.name, provider.disabled_reason);
    }
    auto server = Server::start(options, std::move(*config));
    if (!server) return report_failure(server.error());
    say_what_next(**server);
    watch(**server, signals);
    (*server)->drain([&signals] {
        const timespec none{0, 0};
        const int number = ::sigtimedwait(&signals, nullptr, &none);
        return number == SIGTERM || number == SIGINT;
    });
    server->reset();
    spdlog::info("stopped");
    return 0;
}

}  // namespace leeway::app
