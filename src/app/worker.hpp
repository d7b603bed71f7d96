#pragma once

#include "app/batch_gatherer.hpp"
#include "app/batch_poller.hpp"
#include "app/gateway.hpp"
#include "net/event_loop.hpp"
#include "net/http_server.hpp"

#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace leeway::app {

/// One worker: a thread with its own loop, listener, upstream pools and counters. Nothing of it is
/// shared with other workers but the stores behind the stages.
class Worker {
public:
    Worker(unsigned index, const net::ServerOptions& options, ledger::Sink* ledger,
           std::shared_ptr<const Snapshot> snapshot);
    ~Worker();  ///< stops and joins
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Listens; before `start`.
    [[nodiscard]] Result<net::Address> listen(const net::Address& address, bool shared) {
        return server_.listen(address, shared);
    }
    void start();
    /// Stops the loop and joins the thread; what is posted afterwards never runs.
    void stop();
    /// The configuration for requests that begin after this has reached the worker. Thread-safe.
    void use(std::shared_ptr<const Snapshot> snapshot);
    /// Stops accepting and lets running requests finish. Thread-safe.
    void drain();
    /// Ends what still runs. Thread-safe.
    void interrupt();
    /// Open client connections. Thread-safe.
    [[nodiscard]] std::size_t connections() const noexcept { return server_.connections(); }
    /// Has neither connections nor work of its own under way. Thread-safe.
    [[nodiscard]] bool idle() const noexcept {
        return connections() == 0 && shadows() == 0 && !poller_.running() &&
               gatherer_.sending() == 0;
    }
    /// Copies of requests under way, for nobody. Thread-safe.
    [[nodiscard]] std::size_t shadows() const noexcept { return state_.shadows.running(); }
    /// Copies the counters on the worker's thread and gives them to `done` there. Thread-safe.
    void copy_metrics(std::function<void(telemetry::WorkerMetrics)> done);

private:
    const unsigned index_;
    net::EventLoop loop_;
    WorkerState state_;
    Gateway gateway_;
    BatchGatherer gatherer_;
    BatchPoller poller_;  // of the first worker only it is started
    net::HttpServer server_;
    std::thread thread_;
};

}  // namespace leeway::app
