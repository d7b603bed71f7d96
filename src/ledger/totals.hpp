#pragma once

#include "base/money.hpp"
#include "ledger/record.hpp"

#include <cstdint>

namespace leeway::ledger {

/// Counts beyond this are a provider's nonsense; they are capped here, in rows and sums alike, so
/// that no sum of a batch can overflow.
inline constexpr std::int64_t kMaxTokens = std::int64_t{1} << 50;
/// Token sums stop here instead of overflowing.
inline constexpr std::int64_t kMaxTokenSum = 4'000'000'000'000'000'000;

/// `count` as it is stored: between 0 and `kMaxTokens`.
[[nodiscard]] constexpr std::int64_t stored_tokens(std::int64_t count) noexcept {
    return count < 0 ? 0 : count > kMaxTokens ? kMaxTokens : count;
}

/// `usage` as it is stored.
[[nodiscard]] constexpr prices::Usage stored_usage(const prices::Usage& u) noexcept {
    prices::Usage out;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        out[info.bucket] = stored_tokens(u[info.bucket]);
    }
    return out;
}

/// What a group of requests adds up to; money is exact. A request whose cost is unknown counts in
/// `requests` and `unknown_cost`, never in `spent`; one whose baseline is unknown counts in neither
/// `baseline` nor `saved`.
struct Totals {
    std::int64_t requests = 0;
    std::int64_t errors = 0;  ///< ended as error, cut or timeout (a caller that left is no error)
    std::int64_t hits = 0;  ///< answered from a cache
    std::int64_t unknown_cost = 0;
    std::int64_t known_baseline = 0;
    std::int64_t known_saved = 0;  ///< requests whose cost and baseline are both known
    std::int64_t input_tokens = 0;  ///< of the answers as served, from the cache too
    std::int64_t output_tokens = 0;
    PicoUsdSum spent;
    PicoUsdSum baseline;
    PicoUsdSum saved;  ///< baseline − spent over the requests where both are known; may be negative

    void add(const RequestRecord& r) noexcept {
        ++requests;
        errors += r.end != EndState::kOk && r.end != EndState::kClientGone ? 1 : 0;
        hits += is_hit(r.source) ? 1 : 0;
        if (r.usage_state != prices::UsageState::kMissing) {
            const prices::Usage usage = stored_usage(r.usage);
            input_tokens = capped(input_tokens + usage.input_total());
            output_tokens = capped(output_tokens + usage.output_total());
        }
        if (r.cost) {
            spent.add(*r.cost);
        } else {
            ++unknown_cost;
        }
        if (r.baseline) {
            ++known_baseline;
            baseline.add(*r.baseline);
        }
        if (r.cost && r.baseline) {
            ++known_saved;
            saved.add(PicoUsdSum(Int128{r.baseline->value()} - r.cost->value()));
        }
    }

    void add(const Totals& other) noexcept {
        requests += other.requests;
        errors += other.errors;
        hits += other.hits;
        unknown_cost += other.unknown_cost;
        known_baseline += other.known_baseline;
        known_saved += other.known_saved;
        input_tokens = capped(input_tokens + other.input_tokens);
        output_tokens = capped(output_tokens + other.output_tokens);
        spent.add(other.spent);
        baseline.add(other.baseline);
        saved.add(other.saved);
    }

    friend bool operator==(const Totals&, const Totals&) = default;

private:
    // Both sides are at most kMaxTokenSum, whose double still fits.
    static constexpr std::int64_t capped(std::int64_t sum) noexcept {
        return sum > kMaxTokenSum ? kMaxTokenSum : sum;
    }
};

}  // namespace leeway::ledger
