#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace leeway::providers {

/// How requests for one model are spread over its targets.
enum class Balance : std::uint8_t {
    kWeighted,      ///< at random, by weight
    kLeastPending,  ///< to the one with the fewest calls under way, for its weight
    kPeakEwma,      ///< to the one that is expected to answer first, for its weight
    kSticky,        ///< equal seeds go to the same target as long as it is there
};

/// How busy and how quick a target is, as all workers see it. Lock-free: of two answers at the same moment one may go
/// uncounted.
class TargetLoad {
public:
    /// A call, for as long as this lives. Must not outlive the load.
    class Call {
    public:
        Call(TargetLoad& load, TimePoint now) noexcept : load_(load), begin_(now) {
            load_.pending_.fetch_add(1, std::memory_order_relaxed);
        }
        ~Call() { load_.pending_.fetch_sub(1, std::memory_order_relaxed); }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        /// Its first byte is there.
        void answered(TimePoint now) noexcept { load_.observe(now - begin_, now); }
        /// A target that fails fast must not look quick: it counts as twice as slow as it was.
        void failed(TimePoint now) noexcept;

    private:
        TargetLoad& load_;
        TimePoint begin_;
    };

    [[nodiscard]] std::uint32_t pending() const noexcept {
        return pending_.load(std::memory_order_relaxed);
    }
    /// The time to the first byte, in ns: a moving average that jumps to every peak and forgets in ten seconds
    /// (Peak-EWMA of Twitter's Finagle). 0: nothing is known, or not any more.
    [[nodiscard]] double latency(TimePoint now) const noexcept;

private:
    void observe(Duration took, TimePoint now) noexcept;
    std::atomic<std::uint32_t> pending_{0};
    std::atomic<double> latency_ns_{0};
    std::atomic<std::int64_t> at_ns_{0};
};

/// One of the targets to choose from.
struct Candidate {
    std::uint32_t weight = 1;  ///< at least 1
    std::uint64_t id = 0;  ///< the same in every process, different from the others'
    const TargetLoad* load = nullptr;  ///< not null
};

/// The candidates' places, best first; the later ones stand in for those before. `seed`: for kSticky what shall stay
/// together; for the others a random number, which decides among equals. By weights it is the exponential race of
/// Efraimidis and Spirakis (2006); with a seed that stays, weighted rendezvous hashing (Schindelhauer, Schomaker 2005):
/// a target that goes away moves only its own.
[[nodiscard]] std::vector<std::size_t> order(Balance balance, std::span<const Candidate> candidates,
                                             std::uint64_t seed, TimePoint now);

}  // namespace leeway::providers
