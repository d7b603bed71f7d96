#pragma once

#include "app/config.hpp"
#include "app/embedding_upstream.hpp"
#include "app/model_hosts.hpp"
#include "ledger/sink.hpp"
#include "models/embed/embed_service.hpp"
#include "prices/book.hpp"
#include "telemetry/metrics.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace leeway::app {

/// What a source of embeddings is built on besides the configuration; see Services.
struct EmbeddingServices {
    std::shared_ptr<ModelHost> host;
    std::shared_ptr<const prices::PriceBook> prices;
    budget::Book* budgets = nullptr;
    providers::BreakerBook* breakers = nullptr;
    providers::TokenSources* tokens = nullptr;
};

/// The embedder of a gateway: one service with its thread "embed", which starts when a configuration first has an
/// embedding model and lives until `stop`. A new configuration gives it another source; the memo stays as long as the
/// model is the same. Main thread only, but for what says otherwise.
class Embeddings {
public:
    /// What `use` puts to work.
    struct Prepared {
        std::shared_ptr<models::EmbedSource> source;
        models::EmbedService::Settings settings;
        bool warm = false;
    };

    Embeddings();
    ~Embeddings();  ///< stops
    Embeddings(const Embeddings&) = delete;
    Embeddings& operator=(const Embeddings&) = delete;

    /// `ledger`: a journal that nobody else writes to; null: the ledger is switched off. Before the first `use`.
    void set_ledger(ledger::Sink* ledger) noexcept { at_->state.ledger = ledger; }
    /// For `config`; nullopt: it has no embedding model. Errors are in words for the operator.
    [[nodiscard]] Result<std::optional<Prepared>> prepare(const Config& config,
                                                          const EmbeddingServices& services) const;
    void use(std::optional<Prepared> prepared);
    /// Thread-safe, until `stop`. For coroutines of any loop that outlives `stop`.
    [[nodiscard]] models::Embedder& embedder() noexcept { return *service_; }
    /// Why there are no vectors now; nullopt: there are, or nobody asked. Thread-safe.
    [[nodiscard]] std::optional<std::string> trouble() const { return service_->trouble(); }
    /// For /metrics; empty while no model is configured. Thread-safe.
    [[nodiscard]] std::string metrics() const;
    /// Whether `copy_metrics` will tell. Thread-safe.
    [[nodiscard]] bool running() const noexcept { return running_.load(); }
    /// Copies the counters of its calls on its thread and gives them to `done` there. Thread-safe.
    void copy_metrics(std::function<void(telemetry::WorkerMetrics)> done);
    /// Ends calls under way, whose rows are written, and the thread.
    void stop();

private:
    std::unique_ptr<EmbeddingLoop> at_;
    std::unique_ptr<models::EmbedService> service_;
    std::string identity_;  // of the model in use
    std::thread thread_;
    std::atomic<bool> running_{false};
};

}  // namespace leeway::app
