#pragma once

#include "base/money.hpp"
#include "prices/usage.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::prices {

/// The class of service that an answer was billed as. Stored by number: never renumber.
enum class Tier : std::uint8_t {
    kStandard = 0,
    kBatch = 1,
    kFlex = 2,
    kPriority = 3,
    kFast = 4,
};
inline constexpr std::array<std::string_view, 5> kTierNames{"standard", "batch", "flex", "priority",
                                                            "fast"};
[[nodiscard]] constexpr std::string_view to_string(Tier tier) noexcept {
    return kTierNames[static_cast<std::size_t>(tier)];
}
/// The tier that a provider's word (`service_tier`, `serviceTier`) means; words that name no special
/// tier ("default", "auto", "on_demand", …) mean the standard one. nullopt: no such word.
[[nodiscard]] std::optional<Tier> tier_of(std::string_view word) noexcept;

/// A rate per bucket, in 1e-15 USD per unit. What is not set is unknown, not free.
class Rates {
public:
    [[nodiscard]] std::optional<FemtoUsdPerUnit> operator[](Bucket bucket) const noexcept {
        const std::int64_t rate = rates_[index_of(bucket)];
        return rate < 0 ? std::nullopt : std::optional(FemtoUsdPerUnit(rate));
    }
    void set(Bucket bucket, FemtoUsdPerUnit rate) noexcept {
        rates_[index_of(bucket)] = rate.value() < 0 ? kUnknown : rate.value();
    }
    [[nodiscard]] bool has(Bucket bucket) const noexcept { return rates_[index_of(bucket)] >= 0; }
    [[nodiscard]] bool empty() const noexcept;
    /// Both directions of text can be priced.
    [[nodiscard]] bool known() const noexcept {
        return has(Bucket::kInput) && has(Bucket::kOutput);
    }
    /// The rate that `bucket` is billed at: its own, else that of the bucket it is a kind of (reasoning
    /// is output, an image is input, a cache read without a discount costs as fresh input; see
    /// kFallbacks in rates.cpp). nullopt: unknown.
    [[nodiscard]] std::optional<FemtoUsdPerUnit> effective(Bucket bucket) const noexcept;
    friend bool operator==(const Rates&, const Rates&) = default;

private:
    static constexpr std::int64_t kUnknown = -1;
    [[nodiscard]] static constexpr std::array<std::int64_t, kBucketCount> unknown() noexcept {
        std::array<std::int64_t, kBucketCount> out{};
        out.fill(kUnknown);
        return out;
    }
    std::array<std::int64_t, kBucketCount> rates_ = unknown();
};

/// The cost of `usage` at `rates`: one rounding (half to even) per bucket, then a checked sum. nullopt
/// (unknown) when a rate that is needed is not known, when a count is negative, or on overflow.
[[nodiscard]] std::optional<PicoUsd> cost(const Usage& usage, const Rates& rates) noexcept;
/// What one bucket of `usage` costs; the sum over all buckets is `cost`.
[[nodiscard]] std::optional<PicoUsd> component(const Usage& usage, Bucket bucket,
                                               const Rates& rates) noexcept;

inline constexpr std::int64_t kBeginning = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int32_t kDaySeconds = 86'400;

/// Rates that hold together under the same conditions: one "row" of a price book per bucket. Immutable
/// once its id is made.
struct RateSheet {
    Rates rates;
    Tier tier = Tier::kStandard;
    std::string region;  ///< class such as "us" or "eu"; empty: everywhere else
    std::int64_t above = -1;  ///< holds when the whole input is more tokens than this (a cliff)
    std::int64_t valid_from = kBeginning;  ///< unix seconds
    std::int64_t valid_to = kForever;  ///< unix seconds, exclusive
    std::int32_t day_from = 0;  ///< second of the day, UTC; day_from > day_to spans midnight
    std::int32_t day_to = kDaySeconds;  ///< exclusive
    std::int64_t machine_hour =
        -1;  ///< 1e-12 USD per hour of the machine instead of rates; −1: none
    std::uint32_t machine_share = 1;  ///< requests that share that machine
    std::string source;  ///< where the rates were read; a URL or a name
    std::string confidence;  ///< "confirmed", "single-source", "configured"
    std::uint64_t id = 0;  ///< hash of all of the above with its model; 0: none

    [[nodiscard]] bool whole_day() const noexcept { return day_from == 0 && day_to == kDaySeconds; }
    [[nodiscard]] bool holds_at(std::int64_t unix_s) const noexcept;
};

/// What decides which sheet holds.
struct PriceQuery {
    std::int64_t unix_s = 0;
    Tier tier = Tier::kStandard;
    std::string_view region = {};
    std::int64_t input_tokens = 0;  ///< of the whole request
    std::int64_t busy_us = 0;  ///< time that the upstream took, for prices per machine-hour
};

/// What an answer costs by our own price; `cost` nullopt: unknown.
struct Priced {
    std::optional<PicoUsd> cost;
    std::uint64_t price_id = 0;  ///< of the sheet that was used; 0: none
};

/// All prices of one model of the repository. Immutable, shared by snapshots.
class ModelPrices {
public:
    ModelPrices() = default;
    explicit ModelPrices(std::vector<RateSheet> sheets);
    /// One set of rates, always and everywhere in the standard tier.
    explicit ModelPrices(const Rates& rates, std::string source = "configuration");

    /// The sheet that holds: same tier, the region's own or else the general one, the highest context
    /// band that the input reaches, a time of day before none, the later one before the earlier.
    /// nullptr: unknown. Never falls back to another tier.
    [[nodiscard]] const RateSheet* find(const PriceQuery& query) const noexcept;
    /// `query.input_tokens` is taken from `usage`.
    [[nodiscard]] Priced price(const Usage& usage, PriceQuery query) const noexcept;

    [[nodiscard]] const std::vector<RateSheet>& sheets() const noexcept { return sheets_; }
    /// Whether text in the standard tier has a price at this moment.
    [[nodiscard]] bool known_at(std::int64_t unix_s) const noexcept;

private:
    std::vector<RateSheet> sheets_;
};

/// A percentage off, exact: 1 basis point = 0.01 %. At most 10000.
[[nodiscard]] FemtoUsdPerUnit discounted(FemtoUsdPerUnit rate, std::uint32_t basis_points) noexcept;

}  // namespace leeway::prices
