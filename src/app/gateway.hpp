#pragma once

#include "app/shadow.hpp"
#include "app/snapshot.hpp"
#include "ledger/sink.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "telemetry/metrics.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace leeway::app {

class BatchGatherer;

/// What one worker owns and what a request needs of it. Worker-local.
struct WorkerState {
    explicit WorkerState(net::EventLoop& l) : loop(l), pool(l) {}
    net::EventLoop& loop;
    net::UpstreamPool pool;
    telemetry::WorkerMetrics metrics;
    std::shared_ptr<const Snapshot> snapshot;  ///< replaced on the worker's own thread
    WorkerTokenizers tokenizers;
    std::map<std::string, providers::RetryBudget, std::less<>> retry_budgets;  ///< by provider
    ledger::Sink* ledger = nullptr;            ///< null: the ledger is switched off
    BatchGatherer* gatherer = nullptr;
    Shadows shadows;
};

/// The client API: takes each request through its life (docs/life_of_a_request.md). Worker-local.
class Gateway final : public net::Handler {
public:
    explicit Gateway(WorkerState& worker) : worker_(worker) {}
    Task<void> handle(net::Exchange& exchange) override;
    std::string render_error(const Error& error, std::string_view path) override;

private:
    WorkerState& worker_;
};

}  // namespace leeway::app
