#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace leeway::ledger {

/// How producers wake one consumer thread. Costs a producer one load while the consumer is awake
/// or naps; a system call only when it sleeps.
class Wake {
public:
    /// Producer, after it published its work with a sequentially consistent store.
    void notify() noexcept;
    /// Any thread. Also ends a nap; remembered when the consumer is awake.
    void urge() noexcept;

    /// Consumer. Sleeps until `notify`, `urge` or the timeout (nullopt: none). `has_work` is asked
    /// after the consumer has declared itself asleep, so work that came before is never slept over.
    template <class HasWork>
    void sleep(std::optional<Duration> timeout, HasWork has_work) noexcept {
        state_.store(kSleeping, std::memory_order_seq_cst);
        if (!urged_.load(std::memory_order_seq_cst) && !has_work()) wait(kSleeping, timeout);
        awake();
    }
    /// Consumer. Lets work pile up for `time`; only `urge` ends it early.
    void nap(Duration time) noexcept;

private:
    enum : std::uint32_t { kAwake = 0, kSleeping = 1, kNapping = 2 };
    void wait(std::uint32_t expected, std::optional<Duration> timeout) noexcept;
    void wake() noexcept;
    void awake() noexcept;

    std::atomic<std::uint32_t> state_{kAwake};
    std::atomic<bool> urged_{false};
};

}  // namespace leeway::ledger
