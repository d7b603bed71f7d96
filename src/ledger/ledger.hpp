#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "ledger/journal.hpp"
#include "ledger/retention.hpp"
#include "ledger/row_writer.hpp"
#include "ledger/sink.hpp"
#include "ledger/state_lock.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace leeway::ledger {

struct LedgerOptions {
    std::string state_dir;  ///< made if it is missing
    Secret database = {};   ///< see database_target
    unsigned workers = 1;   ///< sinks 0 … workers−1; 0: only replay what is left
    store::sqlite::Durability durability = store::sqlite::Durability::kNormal;
    std::uint64_t ring_bytes = 4 << 20;  ///< of each worker's ring file when it is made; × 4096
    Duration batch_time = std::chrono::milliseconds(40);  ///< how long records are gathered
    Duration lock_patience = std::chrono::seconds(1);  ///< for a report that is just replaying
    std::uint32_t retention_days = 0;  ///< how long rows are kept, see `Retention`; 0: for ever
    Retention::NowUs now_us = unix_now_us;  ///< tells what day it is; a test has its own
    bool own_thread = true;  ///< false: the owner calls `turn` instead (tests/sim)
};

/// A snapshot for metrics and health.
struct LedgerStats {
    std::uint64_t rows_written = 0;   ///< requests put into the database by this process
    std::uint64_t replayed = 0;       ///< requests that were in the database already
    std::uint64_t batches = 0;
    std::uint64_t pending_bytes = 0;  ///< in rings and spill files
    std::uint64_t spilled_bytes = 0;  ///< ever written to spill files by this process
    std::uint64_t quarantined = 0;    ///< records no database would take, kept in a file
    std::uint64_t damaged_bytes = 0;  ///< journal bytes that could not be read
    std::uint64_t unknown = 0;  ///< intents of killed processes that became rows at the start
    std::uint64_t open_intents = 0;
    std::uint64_t expired = 0;  ///< requests whose rows were taken away because of their age
    bool failing = false;             ///< the last write to the database failed
    std::string last_error;           ///< of the database; kept after it recovered
};

/// The ledger of one process: the workers' journals, the thread that moves them into the database, and the
/// lock on the state folder. Records reach the database within about `batch_time`; while it takes
/// none they stay in the journals and are tried again with back-off.
class Ledger {
public:
    /// Takes the folder, opens the database, finds what earlier processes left in their journals and
    /// starts the thread, which replays it. A PostgreSQL server that cannot be reached is no error: it is
    /// tried again until it comes. Errors say what to do.
    [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(const LedgerOptions& options);
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;
    /// Writes what is pending, once; what the database does not take then waits in the journals for
    /// the next start. No sink may be used any more.
    ~Ledger();

    /// The journal of `worker` (< workers): for that worker's thread, as long as the ledger lives.
    [[nodiscard]] Sink& sink(unsigned worker) noexcept { return *journals_[worker]; }

    /// Thread-safe. Waits until all that was appended before is in the database. An error when it is
    /// not within `timeout`.
    [[nodiscard]] Result<void> flush(Duration timeout = std::chrono::seconds(10));
    /// Thread-safe. Waits until every intent that an earlier process left without an outcome is a row with
    /// EndState::kUnknown. Before that no new intent may be appended. An error when it is not within
    /// `timeout`.
    [[nodiscard]] Result<void> wait_recovered(Duration timeout);
    /// Thread-safe.
    [[nodiscard]] LedgerStats stats() const;
    /// Thread-safe. Takes effect with the next record, or within the hour.
    void set_retention_days(std::uint32_t days) noexcept { retention_.set_days(days); }
    /// Thread-safe. False while any sink cannot keep records.
    [[nodiscard]] bool healthy() const noexcept;
    /// What was odd at the start, for the log; empty in a sane world.
    [[nodiscard]] std::vector<std::string> notes() const;

    /// How long to wait before the next turn, and for what.
    struct Pause {
        enum class Until : std::uint8_t {
            kNow,  ///< there is more to do
            kUrged,  ///< the time has passed, or somebody is in a hurry
            kRetry,  ///< the time has passed, whoever is in a hurry: the database is not well
            kWork,  ///< there is something to write
        };
        Until until = Until::kNow;
        Duration time{0};  ///< kWork: 0 is as long as it takes
    };
    /// Does what is to be done now and does not wait. nullopt: the end was asked for, and all that the database
    /// takes is written. Called by the ledger's thread, or where it has none by its owner, one at a time.
    [[nodiscard]] std::optional<Pause> turn() noexcept;

private:
    explicit Ledger(LedgerOptions options, StateLock lock)
        : options_(std::move(options)),
          lock_(std::move(lock)),
          retention_(options_.retention_days, options_.now_us) {}
    [[nodiscard]] Result<void> open_journals();
    void run() noexcept;
    void rest(Pause pause) noexcept;
    void wait_for_work(Duration most) noexcept;
    [[nodiscard]] bool write_pending() noexcept;
    [[nodiscard]] Result<std::size_t> write_batch();
    [[nodiscard]] Result<bool> write_one(std::string_view bytes);
    [[nodiscard]] Result<void> open_writer();
    [[nodiscard]] Result<void> recover_intents();
    [[nodiscard]] Result<void> set_aside(std::string_view bytes, const Error& why);
    [[nodiscard]] Result<void> quarantine(std::string_view bytes, const std::string& why);
    void retry_later(const Error& error);
    [[nodiscard]] bool expire_some() noexcept;
    void drop_finished_orphans() noexcept;
    [[nodiscard]] bool has_unread() const noexcept;

    const LedgerOptions options_;
    const StateLock lock_;
    Wake wake_;
    std::vector<std::unique_ptr<Journal>> journals_;  // one per worker

    // Ledger thread only.
    std::vector<std::unique_ptr<Journal>> orphans_;  // of workers that are no more
    std::unique_ptr<RowWriter> writer_;  // null after an error
    std::string gateway_;  // whose intents we write; empty: SQLite, which is ours alone
    Retention retention_;
    RequestRecord record_;  // reused: its strings keep their capacity
    Intent intent_;  // likewise
    std::size_t batch_limit_ = 0;
    std::vector<Journal*> sources_;  // of the batch at hand
    std::size_t turn_ = 0;
    Duration back_off_{0};
    bool memory_given_back_ = false;

    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> orphan_bytes_{0};
    mutable std::mutex mutex_;  // of the rest
    std::condition_variable flushed_;
    bool recovered_ = false;
    std::uint64_t flush_asked_ = 0;
    std::uint64_t flush_done_ = 0;
    LedgerStats stats_;
    std::vector<std::string> notes_;
    std::thread thread_;
};

}  // namespace leeway::ledger
