#include "providers/balance.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace leeway::providers {
namespace {

constexpr double kForgetNs = 10e9;

std::int64_t to_ns(TimePoint time) noexcept { return time.time_since_epoch().count(); }

/// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
}

/// When a candidate arrives in the race: exponential with its weight for a rate.
double arrival(const Candidate& candidate, std::uint64_t seed) noexcept {
    constexpr double kUnit = 0x1p-53;
    const auto bits = mix(seed + mix(candidate.id + 0x9e3779b97f4a7c15U)) >> 11U;
    return -std::log((static_cast<double>(bits) + 0.5) * kUnit) / candidate.weight;
}

double burden(Balance balance, const Candidate& candidate, TimePoint now) noexcept {
    const double calls = candidate.load->pending() + 1.0;
    switch (balance) {
        case Balance::kWeighted:
        case Balance::kSticky: return 0;
        case Balance::kLeastPending: return calls / candidate.weight;
        case Balance::kPeakEwma:
            // A microsecond for one that nothing is known of: it is tried first, but not by all at once.
            return (candidate.load->latency(now) + 1000) * calls / candidate.weight;
    }
    return 0;
}

}  // namespace

double TargetLoad::latency(TimePoint now) const noexcept {
    const double latency = latency_ns_.load(std::memory_order_relaxed);
    const std::int64_t age = to_ns(now) - at_ns_.load(std::memory_order_relaxed);
    return latency * std::exp(-static_cast<double>(std::max<std::int64_t>(age, 0)) / kForgetNs);
}

void TargetLoad::observe(Duration took, TimePoint now) noexcept {
    const auto sample = static_cast<double>(took.count());
    const double before = latency_ns_.load(std::memory_order_relaxed);
    const std::int64_t age = to_ns(now) - at_ns_.load(std::memory_order_relaxed);
    double next = sample;
    if (sample < before) {
        const double kept =
            std::exp(-static_cast<double>(std::max<std::int64_t>(age, 0)) / kForgetNs);
        next = before * kept + sample * (1 - kept);
    }
    latency_ns_.store(next, std::memory_order_relaxed);
    at_ns_.store(to_ns(now), std::memory_order_relaxed);
}

void TargetLoad::Call::failed(TimePoint now) noexcept {
    const auto twice =
        static_cast<std::int64_t>(2 * load_.latency_ns_.load(std::memory_order_relaxed));
    constexpr Duration kMost = std::chrono::minutes(1);
    load_.observe(std::max(now - begin_, std::min(Duration(twice), kMost)), now);
}

std::vector<std::size_t> order(Balance balance, std::span<const Candidate> candidates,
                               std::uint64_t seed, TimePoint now) {
    struct Rank {
        double burden;
        double arrival;
        std::size_t place;
    };
    std::vector<Rank> ranks;
    ranks.reserve(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i)
        ranks.push_back({burden(balance, candidates[i], now), arrival(candidates[i], seed), i});
    std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
        return a.burden != b.burden ? a.burden < b.burden : a.arrival < b.arrival;
    });
    std::vector<std::size_t> out;
    out.reserve(ranks.size());
    for (const Rank& rank : ranks) out.push_back(rank.place);
    return out;
}

}  // namespace leeway::providers
