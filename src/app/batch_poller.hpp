#pragma once

#include "app/batch_link.hpp"
#include "app/config.hpp"
#include "net/timer.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace leeway::app {

/// Looks at the batches whose end nobody asks for, so that they are settled all the same (docs/formats/batches.md).
/// Of one worker of the gateway, and local to it, but for `running`. What is to be looked at lies in the store, so it goes
/// on after a restart; a caller who asks at the same time is no harm.
class BatchPoller {
public:
    /// `worker` outlives it.
    explicit BatchPoller(WorkerState& worker);
    BatchPoller(const BatchPoller&) = delete;
    BatchPoller& operator=(const BatchPoller&) = delete;

    void start();
    /// Ends soon, and does not begin again.
    void stop() noexcept;
    /// A round is under way. Thread-safe.
    [[nodiscard]] bool running() const noexcept { return running_.load(); }

    /// When a batch is looked at next: a quarter of its age from now, within the configuration's bounds, and later after
    /// failures. `random` spreads it by up to a fifth.
    [[nodiscard]] static Duration wait_before(const BatchesConfig& config, std::int64_t age_s,
                                              std::uint32_t failures,
                                              std::uint64_t random) noexcept;

private:
    /// Of one batch of a provider.
    struct Plan {
        TimePoint due{};
        std::uint32_t failures = 0;  ///< one after the other
    };
    enum class Look : std::uint8_t { kDone, kFailed };

    static void fire(void* self);
    Task<void> round();
    Task<Look> look(const std::vector<StoredBatch>& group);
    void arm(Duration wait) noexcept;

    WorkerState& worker_;
    net::Timer timer_;
    std::map<std::string, Plan> plans_;
    net::Deadline* deadline_ = nullptr;  // of the look under way
    bool stopping_ = false;
    std::atomic<bool> running_{false};
};

}  // namespace leeway::app
