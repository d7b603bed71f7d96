#include "app/worker.hpp"

#include <pthread.h>

namespace leeway::app {

Worker::Worker(unsigned index, const net::ServerOptions& options, ledger::Sink* ledger,
               std::shared_ptr<const Snapshot> snapshot)
    : index_(index),
      state_(loop_),
      gateway_(state_),
      gatherer_(state_),
      poller_(state_),
      server_(loop_, options, gateway_) {
    state_.ledger = ledger;
    state_.gatherer = &gatherer_;
    state_.snapshot = std::move(snapshot);
}

Worker::~Worker() { stop(); }

void Worker::stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
}

void Worker::start() {
    if (index_ == 0) loop_.post([this] { poller_.start(); });
    thread_ = std::thread([this] {
        const std::string name = "worker-" + std::to_string(index_);
        ::pthread_setname_np(::pthread_self(), name.c_str());
        loop_.run();
    });
}

void Worker::use(std::shared_ptr<const Snapshot> snapshot) {
    loop_.post([this, next = std::move(snapshot)]() mutable { state_.snapshot = std::move(next); });
}

void Worker::drain() {
    loop_.post([this] {
        poller_.stop();
        server_.stop_accepting();
        state_.shadows.end();
        state_.pool.close_idle();
    });
}

void Worker::interrupt() {
    loop_.post([this] { server_.interrupt_all(); });
}

void Worker::copy_metrics(std::function<void(telemetry::WorkerMetrics)> done) {
    loop_.post([this, tell = std::move(done)] { tell(state_.metrics); });
}

}  // namespace leeway::app
