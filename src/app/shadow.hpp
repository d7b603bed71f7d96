#pragma once

#include "app/attempt_end.hpp"
#include "app/snapshot.hpp"
#include "ledger/record.hpp"
#include "net/http_client.hpp"
#include "providers/breaker.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {

struct WorkerState;

/// A copy of a request on its way to a second model, whose answer nobody gets: what it costs is all that is kept. Holds
/// all that it needs, since the request is over. Loop-local; does not move.
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
};

/// The shadows of one worker: so many at a time, and none any more when it is to end. Loop-local but for `running`.
class Shadows {
public:
    /// Whether one more may begin.
    [[nodiscard]] bool has_room() const noexcept { return !ended_ && shadows_.size() < kMost; }
    /// Larger requests have none: their copies must be kept.
    static constexpr std::size_t kMostBody = 1024UL * 1024;

    /// Sends it, and settles it in the end. `worker` outlives it.
    void start(WorkerState& worker, std::unique_ptr<Shadow> shadow);
    /// Stops those under way, which are settled at once, and lets none begin any more.
    void end() noexcept;
    /// Thread-safe.
    [[nodiscard]] std::size_t running() const noexcept {
        return running_.load(std::memory_order_relaxed);
    }

private:
    Task<void> run(WorkerState& worker, std::unique_ptr<Shadow> shadow);

    static constexpr std::size_t kMost = 32;
    std::vector<Shadow*> shadows_;
    bool ended_ = false;
    std::atomic<std::size_t> running_{0};
};

}  // namespace leeway::app
