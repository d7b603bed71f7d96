#pragma once

#include "app/own_call.hpp"
#include "app/snapshot.hpp"
#include "ledger/record.hpp"
#include "net/http_client.hpp"
#include "providers/breaker.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::app {

struct WorkerState;

/// The tag of a copy's row in the ledger.
inline constexpr std::string_view kShadowTag = "shadow";

/// A copy's whole answer, and what it took.
struct ShadowAnswer {
    std::string text;
    std::optional<double> mean_logprob;  ///< of its tokens; nullopt: not told
    const ledger::AttemptRow& attempt;  ///< lives as long as the call
};

/// A call whose answer no caller gets: a copy of a request on its way to a second model, of which what it costs is all
/// that is kept, or what a stage wants to know (pipeline::OwnCall). Holds all that it needs, since the request may be over.
/// Loop-local; does not move.
struct Shadow {
    Shadow(WorkerState& worker, std::shared_ptr<const Snapshot> pinned, const pipeline::Model& of);
    Shadow(const Shadow&) = delete;
    Shadow& operator=(const Shadow&) = delete;

    const std::shared_ptr<const Snapshot> snapshot;
    const pipeline::Model& model;
    const providers::Provider& provider;
    net::Deadline deadline;
    net::UpstreamCall call;
    std::string target;
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields;
    std::optional<providers::Breaker::Pass> pass;
    std::optional<budget::Amount> reserved;  ///< nullopt: no budget is configured
    ledger::RequestRecord record;
    ledger::AttemptRow attempt;
    std::optional<pipeline::OwnCall> own;  ///< nullopt: a copy
    /// What an answer that is compared is told to; empty: it is not. Asked for whole then.
    std::function<void(const ShadowAnswer&)> compare;
    /// What is told of an answer that a stage wants later; empty: none is.
    std::function<std::optional<pipeline::LaterCall>(const pipeline::LaterAnswer&)> then;
};

/// A call that a stage waits for.
struct WaitedCall {
    std::shared_ptr<const Snapshot> snapshot;
    RequestId of;  ///< the stage's request
    std::string route;
    pipeline::OwnCall call;
    Duration limit{};
};

/// What came of it.
struct WaitedAnswer {
    Result<std::string> text;  ///< errors: as of pipeline::ModelAsker
    std::optional<PicoUsd> cost = PicoUsd(0);  ///< nullopt: not known
};

/// Copies what is to be sent.
void take_request(Shadow& shadow, const providers::PreparedRequest& prepared);
/// Reserves the most that it can cost (reserve_own). False: there is no room, or no journal. Only where budgets are
/// configured.
[[nodiscard]] bool reserve(WorkerState& worker, Shadow& shadow, const budget::Amount& worst);

/// The shadows of one worker: so many at a time, and none any more when it is to end. Loop-local but for `running`.
class Shadows {
public:
    /// Whether one more may begin.
    [[nodiscard]] bool has_room() const noexcept { return !ended_ && shadows_.size() < kMost; }
    /// Larger requests have none: their copies must be kept.
    static constexpr std::size_t kMostBody = 1024UL * 1024;

    /// Sends it, and settles it in the end. `worker` outlives it.
    void start(WorkerState& worker, std::unique_ptr<Shadow> shadow);
    /// The same of a call that a stage wants for request `of`, if it can be made, and of what it wants next.
    void start(WorkerState& worker, const std::shared_ptr<const Snapshot>& snapshot,
               const RequestId& of, const std::string& route, pipeline::LaterCall call);
    /// Makes a call that a stage waits for, not beyond its limit nor beyond what `by` interrupts, which outlives it. Several
    /// of one request may be made at a time.
    [[nodiscard]] Task<WaitedAnswer> ask(WorkerState& worker, WaitedCall wanted,
                                         pipeline::Interruption& by);
    /// Stops those under way, which are settled at once, and lets none begin any more.
    void end() noexcept;
    /// Thread-safe.
    [[nodiscard]] std::size_t running() const noexcept {
        return running_.load(std::memory_order_relaxed);
    }

private:
    Task<void> run(WorkerState& worker, std::unique_ptr<Shadow> shadow);
    Task<void> run_later(WorkerState& worker, std::unique_ptr<Shadow> shadow, RequestId of);
    std::unique_ptr<Shadow> make_own(WorkerState& worker,
                                     const std::shared_ptr<const Snapshot>& snapshot,
                                     const RequestId& of, const std::string& route,
                                     pipeline::OwnCall& call) const;
    void add(Shadow& shadow);
    void remove(Shadow& shadow);
    /// The calls that one request waits for. An interruption knows one callback, so they share it.
    struct Waiting : std::enable_shared_from_this<Waiting> {
        pipeline::Interruption* by = nullptr;
        std::vector<Shadow*> calls;
        void stop() noexcept;
    };
    void wait(Shadow& shadow, pipeline::Interruption& by);
    void waited(Shadow& shadow, pipeline::Interruption& by);

    static constexpr std::size_t kMost = 32;
    std::vector<Shadow*> shadows_;
    std::vector<std::shared_ptr<Waiting>> waiting_;  // each has a call
    bool ended_ = false;
    std::atomic<std::size_t> running_{0};
};

}  // namespace leeway::app
