#pragma once

#include <atomic>
#include <cstdint>

namespace leeway::app {

/// What was done about files and batches since the start. Thread-safe.
struct BatchCounters {
    std::atomic<std::uint64_t> uploads{0};       ///< input files of batches that a provider took
    std::atomic<std::uint64_t> made{0};          ///< batches that a provider took
    std::atomic<std::uint64_t> looks{0};         ///< of the poller
    std::atomic<std::uint64_t> failed_looks{0};  ///< of these, without an outcome
    std::atomic<std::uint64_t> settled{0};       ///< with a row in the ledger
    std::atomic<std::uint64_t> unknown{0};       ///< of these, whose cost nobody knows
    std::atomic<std::int64_t> cost_pico_usd{0};  ///< of those whose cost is known
};

}  // namespace leeway::app
