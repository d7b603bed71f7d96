#pragma once

#include "app/drain_slots.hpp"
#include "app/gateway.hpp"
#include "app/replay_store.hpp"
#include "guard/budget/book.hpp"
#include "guard/limits/limit_book.hpp"
#include "ledger/ledger.hpp"
#include "methods/agent_cache/exact_store.hpp"
#include "methods/agent_cache/sharded_key_memo.hpp"
#include "methods/agent_cache/single_flight.hpp"
#include "net/http_server.hpp"
#include "providers/breaker.hpp"
#include "providers/token_source.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace leeway::sim {

/// The gateway under test, life after life: what app::Server starts, but for its threads and the admin port. Each worker is
/// a loop of the world; the ledger takes its turns as an event of it.
class Gateway {
public:
    /// `state`: a folder for journals. The world's chance decides the configuration.
    Gateway(Oracle& oracle, std::string state);

    /// Starts a life; tries again while the disk is not well.
    void start();
    /// The process is gone between two instructions; with the power also what the disk had not been told to keep.
    void kill(bool power_cut);
    /// Asks it to end in order, as SIGTERM does; it starts again afterwards.
    void drain();
    void reload();
    /// Invariants that hold after every event.
    void check();
    /// Nothing runs any more: what was taken has been given back, and what was spent is in the ledger.
    void check_quiet();
    /// All records are in the database.
    [[nodiscard]] bool written() const;
    /// Why not.
    [[nodiscard]] std::string unwritten() const;
    [[nodiscard]] bool up() const noexcept { return life_ != nullptr && life_->serving; }
    [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
    void let_revoke() { revoked_ = true; }

private:
    struct Worker {
        Worker(const net::ServerOptions& options, ledger::Sink* sink,
               std::shared_ptr<const app::Snapshot> snapshot);
        net::EventLoop loop;
        app::WorkerState state;
        app::Gateway gateway;
        net::HttpServer server;
    };
    struct Life {
        ProcessPtr process;
        std::unique_ptr<ledger::Ledger> ledger;
        budget::Book book;
        limits::LimitBook limits;
        std::unique_ptr<agent_cache::ExactStore> cache;
        agent_cache::SingleFlight flights;
        agent_cache::ShardedKeyMemo keys;
        providers::TokenSources tokens;
        providers::BreakerBook breakers;
        app::DrainSlots drains;
        app::ReplayStore replays{1 << 20, 1 << 16};
        std::shared_ptr<const app::Snapshot> snapshot;
        std::vector<std::unique_ptr<Worker>> workers;
        bool serving = false;
        bool draining = false;
        std::map<std::string, Int128> pending;  // of the budgets, at the last look
    };

    [[nodiscard]] app::Config config() const;
    [[nodiscard]] std::shared_ptr<const app::Snapshot> build(Life& life, const app::Config& config);
    void turn(Life& life);
    void begin_serving(Life& life);
    void end(Life& life);
    void bury();
    [[nodiscard]] std::size_t connections(const Life& life) const;

    Oracle& oracle_;
    const std::string state_;
    std::string text_;  // of the configuration, but for what a reload changes
    std::uint32_t number_ = 0;
    bool revoked_ = false;
    std::unique_ptr<Life> life_;
    std::vector<Life*> dead_;  // left as they were
};

}  // namespace leeway::sim
