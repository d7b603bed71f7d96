#pragma once

#include "base/clock.hpp"
#include "base/money.hpp"
#include "prices/usage.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

namespace leeway::telemetry {

/// Counts of durations in exponential buckets, 1 µs … 17 min, four to the power of two. Not
/// thread-safe: each worker has its own.
class Histogram {
public:
    static constexpr std::size_t kBuckets = 120;
    void record(Duration value) noexcept;
    void merge(const Histogram& other) noexcept;
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::int64_t sum_us() const noexcept { return sum_us_; }
    /// How many values were ≤ `bound_us` (exact at bucket borders, else rounded down).
    [[nodiscard]] std::uint64_t at_most(std::int64_t bound_us) const noexcept;

private:
    std::array<std::uint32_t, kBuckets> buckets_{};
    std::uint64_t count_ = 0;
    std::int64_t sum_us_ = 0;
};

/// What is known of a finished request, for the counters.
struct RequestSample {
    std::string_view endpoint;
    std::string_view route;
    std::string_view model;
    std::string_view source;  ///< "upstream", "exact_cache", "gateway"
    int status = 0;
    Duration total{};
    Duration overhead{};  ///< total minus the time spent waiting for upstreams
    prices::Usage usage;
    std::optional<PicoUsd> cost;
    std::optional<PicoUsd> baseline;
    bool cost_unknown = false;
};

/// What a route asks besides the model that answers.
enum class Double : std::uint8_t {
    kHedge,        ///< a second target was asked, as the first was slow to begin
    kHedgeWon,     ///< and it was the one that answered
    kHedgeLeft,    ///< it was not: there was no target, no budget or no retry left for it
    kShadow,       ///< a copy went to another model
    kShadowLeft,   ///< it did not: too many were under way, or there was no budget for it
};
inline constexpr std::size_t kDoubles = 5;

/// One worker's counters. Worker-local, so plain numbers; `/metrics` asks each worker for a copy.
class WorkerMetrics {
public:
    void request(const RequestSample& sample);
    void stage_ran(std::string_view stage, Duration took);
    void stage_skipped(std::string_view stage, std::string_view reason);
    void upstream_connection(bool reused) noexcept {
        ++(reused ? reused_connections_ : new_connections_);
    }
    void streams(int change) noexcept { open_streams_ += change; }
    void rows_lost() noexcept { ++rows_lost_; }
    /// A failed attempt was worth a retry: one was made, or the retry budget had none left.
    void retry(bool made) noexcept { ++(made ? retries_ : retries_refused_); }
    void fallback() noexcept { ++fallbacks_; }
    /// A cheap model answered on trial; `word`: "kept", "refused" or what became of it else.
    void tried(std::string_view route, std::string_view word);
    void doubled(Double what) noexcept { ++doubles_[static_cast<std::size_t>(what)]; }

    void merge(const WorkerMetrics& other);
    /// Prometheus text exposition format 0.0.4.
    [[nodiscard]] std::string exposition() const;

private:
    using Key = std::tuple<std::string, std::string, std::string, std::string, int>;
    using View =
        std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, int>;
    struct Totals {
        std::uint64_t requests = 0;
        std::int64_t input_tokens = 0;
        std::int64_t output_tokens = 0;
        PicoUsdSum cost;
        PicoUsdSum baseline;
        std::uint64_t cost_unknown = 0;
    };
    std::map<Key, Totals, std::less<>> requests_;
    std::map<std::string, Histogram, std::less<>> stages_;
    std::map<std::pair<std::string, std::string>, std::uint64_t, std::less<>> skipped_;
    std::map<std::pair<std::string, std::string>, std::uint64_t, std::less<>> trials_;
    Histogram total_;
    Histogram overhead_;
    std::uint64_t new_connections_ = 0;
    std::uint64_t reused_connections_ = 0;
    std::int64_t open_streams_ = 0;
    std::uint64_t rows_lost_ = 0;
    std::uint64_t retries_ = 0;
    std::uint64_t retries_refused_ = 0;
    std::uint64_t fallbacks_ = 0;
    std::array<std::uint64_t, kDoubles> doubles_{};
};

/// Appends one sample line; label values are escaped.
void append_sample(std::string& out, std::string_view name,
                   std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
                   std::string_view value);
void append_help(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help);

}  // namespace leeway::telemetry
