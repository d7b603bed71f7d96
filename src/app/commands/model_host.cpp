#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "base/strings.hpp"
#include "models/host/containment.hpp"
#include "models/host/model_store.hpp"
#include "models/host/server.hpp"
#include "net/event_loop.hpp"
#include "net/http_server.hpp"
#include "telemetry/log.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>

namespace leeway::app {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDrainTime{2'000};    // for requests that run when it is time to stop
constexpr milliseconds kGoodbyeTime{300};  // for the error answers of those that are then stopped
constexpr milliseconds kDrainPoll{10};
constexpr std::size_t kSha256Digits = 64;

std::string variable(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr || *value == '\0' ? otherwise : value;
}

/// "file.gguf" or "file.gguf@<SHA-256>".
models::ModelEntry entry_of(const std::string& name, const std::string& file) {
    models::ModelEntry out;
    out.name = name;
    const std::size_t at = file.rfind('@');
    const bool has_hash = at != std::string::npos && file.size() - at - 1 == kSha256Digits;
    out.file = file.substr(0, has_hash ? at : std::string::npos);
    if (has_hash) out.sha256 = file.substr(at + 1);
    return out;
}

models::ModelStoreOptions store_options(const ModelHostOptions& options) {
    models::ModelStoreOptions out;
    out.folders.emplace_back(options.folder);
    for (const auto& [name, file] : options.models) out.models.push_back(entry_of(name, file));
    out.only_listed = !out.models.empty();
    out.memory_bytes = options.memory_bytes;
    out.engine.threads = options.threads;
    out.engine.sequences = options.parallel;
    out.engine.context_tokens = options.context;
    return out;
}

void pause(milliseconds length) {
    const timespec time{0, std::chrono::nanoseconds(length).count()};
    ::nanosleep(&time, nullptr);
}

/// Waits until the server has no connection left, or the time is over.
bool wait_until_idle(const net::HttpServer& server, milliseconds most) {
    for (milliseconds spent{0}; spent < most; spent += kDrainPoll) {
        if (server.connections() == 0) return true;
        pause(kDrainPoll);
    }
    return server.connections() == 0;
}

sigset_t stop_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    return set;
}

}  // namespace

int run_model_host(const ModelHostOptions& options) {
    std::signal(SIGPIPE, SIG_IGN);
    // Blocked before any thread starts, so that only this one takes them.
    const sigset_t signals = stop_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    telemetry::start_log(variable("LEEWAY_LOG_LEVEL", "info"),
                         variable("LEEWAY_LOG_FORMAT", "text") == "json");
    if (auto contained = models::contain_process(options.memory_bytes); !contained) {
        return report_failure(contained.error());
    }
    const auto address = net::parse_address(options.listen);
    if (!address) return report_failure(address.error());

    // Everything that posts to the loop must end before it: the store with its engines comes after it.
    net::EventLoop loop;
    models::ModelStore store(store_options(options));
    models::HostServer handler(loop, store);
    net::HttpServer server(loop, net::ServerOptions{}, handler);
    const auto listening = server.listen(*address, false);
    if (!listening) return report_failure(listening.error());
    spdlog::info("model-host: listens on {}, models in {}", listening->text(), options.folder);
    if (!listening->is_loopback()) {
        spdlog::warn("model-host: asks for no key; let only the gateway reach {}",
                     listening->text());
    }

    std::thread serving([&loop] {
        ::pthread_setname_np(::pthread_self(), "model-http");
        loop.run();
    });
    int number = 0;
    ::sigwait(&signals, &number);
    spdlog::info("model-host: stops");
    loop.post([&server] { server.stop_accepting(); });
    if (!wait_until_idle(server, kDrainTime)) {
        loop.post([&server] { server.interrupt_all(); });
        // Whatever then still runs would post to a loop that is gone: leave without taking it apart.
        if (!wait_until_idle(server, kGoodbyeTime)) {
            spdlog::warn("model-host: some requests did not end in time");
            spdlog::default_logger_raw()->flush();
            std::_Exit(0);
        }
    }
    loop.stop();
    serving.join();
    return 0;
}

}  // namespace leeway::app
