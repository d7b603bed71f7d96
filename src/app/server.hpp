#pragma once

#include "admin/admin_server.hpp"
#include "app/alert_sender.hpp"
#include "app/batch_reader.hpp"
#include "app/batch_store.hpp"
#include "app/batch_waiters.hpp"
#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/drain_slots.hpp"
#include "app/embeddings.hpp"
#include "app/key_store.hpp"
#include "app/outcome_recorder.hpp"
#include "app/price_layers.hpp"
#include "app/replay_store.hpp"
#include "app/response_store.hpp"
#include "app/routes/route_tables.hpp"
#include "app/snapshot.hpp"
#include "app/token_learner.hpp"
#include "app/worker.hpp"
#include "ledger/ledger.hpp"
#include "methods/agent_cache/exact_store.hpp"
#include "methods/agent_cache/semantic_store.hpp"
#include "methods/agent_cache/single_flight.hpp"
#include "methods/cascade/certificate_book.hpp"
#include "methods/router/controller/controller_tally.hpp"
#include "methods/router/predict/router_memory.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace leeway::app {

/// The running gateway: owns what lives as long as the process, starts the threads, swaps the
/// configuration, and ends it all in order. Used by the main thread.
class Server {
public:
    /// Opens the state folder, listens and starts. Errors say what to do.
    [[nodiscard]] static Result<std::unique_ptr<Server>> start(ServeOptions options, Config config);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Reads the configuration again and puts it to work, all or nothing. Logs the outcome.
    void reload();
    /// What is to be done every now and then: takes keys that another process changed, ends model hosts
    /// that no request uses any more, tells of a ledger that is in trouble. Cheap.
    void tend();
    /// Stops accepting, waits for running requests (at most `drain_timeout`, or until `hurry` says
    /// so), then ends the rest.
    void drain(const std::function<bool()>& hurry);

    [[nodiscard]] const Config& config() const noexcept { return config_; }
    [[nodiscard]] std::string url() const { return "http://" + listening_.text(); }
    [[nodiscard]] std::string admin_url() const { return "http://" + admin_listening_.text(); }
    [[nodiscard]] bool needs_keys() const noexcept { return !keys_->empty(); }

private:
    Server(ServeOptions options, Config config)
        : options_(std::move(options)), config_(std::move(config)), started_with_(config_) {}
    void watch_ledger();
    Result<void> use_budgets(const Config& config);
    void use_limits(const Config& config);
    Result<void> open_caches();
    Result<void> open_batches(const Config& config);
    Result<void> open_responses(const Config& config);
    Result<void> open_outcomes(const Config& config);
    [[nodiscard]] std::string certificates_file() const;
    void restore_certificates();
    void keep_certificates();
    [[nodiscard]] Result<void> load_prices(const Config& config);
    [[nodiscard]] bool keys_changed();
    Result<void> put_to_work(const Config& config);
    Result<void> open_stores();
    Result<void> start_workers();
    Result<void> start_admin();
    Result<std::shared_ptr<const Snapshot>> build_snapshot(const Config& config);
    [[nodiscard]] std::optional<std::string> not_ready() const;
    [[nodiscard]] std::optional<std::string> note() const;
    Task<std::string> metrics_text(net::EventLoop& admin_loop);
    [[nodiscard]] std::string process_metrics() const;
    [[nodiscard]] std::string cache_metrics() const;
    [[nodiscard]] std::string budget_metrics() const;
    [[nodiscard]] std::string breaker_metrics() const;
    [[nodiscard]] std::string batch_metrics() const;
    [[nodiscard]] std::string traffic_metrics() const;
    [[nodiscard]] std::string calibration_metrics() const;
    [[nodiscard]] std::string outcome_metrics() const;
    [[nodiscard]] std::string cascade_metrics() const;
    [[nodiscard]] std::string controller_metrics() const;
    [[nodiscard]] std::size_t connections() const;
    [[nodiscard]] std::size_t shadows() const;

    ServeOptions options_;
    Config config_;
    const Config started_with_;
    limits::LimitBook limits_;
    std::optional<KeyStore> key_store_;
    std::int64_t key_version_ = 0;
    std::shared_ptr<const guard::auth::KeyDirectory> keys_;
    std::unique_ptr<ledger::Ledger> ledger_;
    mutable budget::Book book_;  // asked how it stands, a limit may enter its next window
    std::unique_ptr<AlertSender> alerts_;  // null: no budget has been configured yet
    std::unique_ptr<budget::LeaseKeeper> leases_;  // null: the budgets are ours alone
    std::unique_ptr<agent_cache::ExactStore> cache_;
    agent_cache::SingleFlight flights_;
    agent_cache::ShardedKeyMemo cache_keys_;
    std::unique_ptr<store::vectors::VectorStore> vectors_;
    std::unique_ptr<agent_cache::SemanticStore> semantic_;
    agent_cache::CacheServices cache_services_;
    std::optional<ModelHosts> hosts_;
    providers::TokenSources tokens_;
    PriceBooks books_;
    VocabularyShelf vocabularies_;
    providers::BreakerBook breakers_;
    Embeddings embeddings_;
    RouteTables route_tables_;
    cascade::CertificateBook certificates_;
    router::RouterMemory router_memory_;
    router::ControllerTally controller_tally_;
    DrainSlots drain_slots_;
    std::unique_ptr<ReplayStore> replays_;  // null: idempotency keys are only passed on
    std::unique_ptr<TokenLearner> learner_;
    std::unique_ptr<BatchStore> batches_;  // null: no provider has taken batches yet
    std::atomic<BatchStore*> batches_seen_{nullptr};  // the same, for other threads
    BatchReader batch_reader_;
    BatchWaiters batch_waiters_;
    std::unique_ptr<OutcomeRecorder> outcomes_;  // null: no route has kept outcomes yet
    std::atomic<OutcomeRecorder*> outcomes_seen_{nullptr};  // the same, for other threads
    std::unique_ptr<ResponseStore> responses_;  // null: none have been kept yet
    std::atomic<bool> book_refused_{false};  // the newest one; an older one is in use, or none
    std::vector<std::unique_ptr<Worker>> workers_;
    std::unique_ptr<admin::AdminServer> admin_;
    net::Address listening_;
    net::Address admin_listening_;
    bool ledger_failing_ = false;  // as far as the log has said it
    std::atomic<bool> draining_{false};
    std::atomic<std::uint64_t> reloads_{0};
    std::atomic<std::uint64_t> failed_reloads_{0};
};

}  // namespace leeway::app
