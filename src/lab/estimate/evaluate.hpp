#pragma once

#include "base/money.hpp"
#include "lab/estimate/counting.hpp"
#include "lab/estimate/scenario.hpp"
#include "prices/rates.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::lab {

/// Who sells a model and at what price.
struct PricedModel {
    std::string name;
    std::string priced_as;  ///< provider/model of the price book; empty: not in it
    prices::ModelPrices prices;
};

/// How long the answers of a call are.
struct Answers {
    Lengths lengths;  ///< of all output
    std::int64_t reasoning_permille = 0;  ///< of it, reasoning
    std::optional<Lengths> reasoning;     ///< or reasoning of its own, on top
    std::string source;                   ///< "told", "recorded answers of …", "prior chat"
};

/// A call that is ready to be priced.
struct PreparedCall {
    const Call* call = nullptr;
    const PricedModel* model = nullptr;
    std::vector<CountedPrompt> prompts;
    Answers answers;
};
struct PreparedFlow {
    const Flow* flow = nullptr;
    std::int64_t requests_per_month = 0;
    std::vector<PreparedCall> calls;
};
using Prepared = std::vector<PreparedFlow>;

/// What may be otherwise than in the scenario.
struct Switches {
    prices::Tier tier = prices::Tier::kStandard;
    std::string region;
    std::optional<bool> cache;  ///< the provider's prompt cache; nullopt: as recorded, else without
    std::int64_t retries_permille = 0;  ///< calls that are billed twice
    std::int64_t output_percent = 100;
    std::optional<std::int64_t> max_tokens;
    std::optional<Part> halved;
};

/// Money that is not certain, in 1e-12 USD. `mean` is the expectation.
struct Spread {
    PicoUsdSum p10;
    PicoUsdSum p50;
    PicoUsdSum p90;
    PicoUsdSum p99;
    PicoUsdSum mean;
};

struct FlowOutcome {
    std::string name;
    std::int64_t requests_per_month = 0;
    Spread per_request;
    PicoUsdSum month_mean;
};

/// What a scenario costs. When `unknown_because` says why it is not known, there are only `tokens`.
struct Outcome {
    std::string unknown_because;
    Spread per_request;
    Spread per_thousand;
    std::optional<Spread> per_month;  ///< nullopt: nobody said how many requests there are
    /// The mean of a request by part and by bucket; both add up to `per_request.mean`.
    std::array<PicoUsdSum, kPartCount> by_part{};
    std::array<PicoUsdSum, prices::kBucketCount> by_bucket{};
    std::array<std::int64_t, kPartCount> tokens{};  ///< mean of a request, rounded
    std::vector<FlowOutcome> flows;
    std::optional<std::int64_t>
        within_budget_permille;  ///< draws of the month that the budget covers
    /// Requests per month of which the month's P90 still fits into the budget, in the same proportions.
    std::optional<std::int64_t> most_requests;

    [[nodiscard]] bool known() const noexcept { return unknown_because.empty(); }
};

struct Evaluation {
    std::int64_t unix_s = 0;  ///< prices of this moment
    std::optional<PicoUsd> budget;
    std::size_t draws = 1000;
    std::uint64_t seed = 1;
};

/// Draws `draws` months: in each the unknown levels (how long answers are as a whole, how far a count that is
/// not exact is off) are drawn once, and 200 requests by Latin hypercube sampling (McKay et al. 1979). A sum of
/// n requests is n means with the error of a sum; up to 200 requests it is drawn one by one. Each request is
/// priced in integers, one rounding per bucket; only the error of a sum is a double before it is rounded.
/// Same input, same result.
[[nodiscard]] Outcome evaluate(const Prepared& flows, const Switches& switches,
                               const Evaluation& how);

/// One thing that could be changed and what it moves.
struct Lever {
    std::string what;  ///< "tools halved", "cache=on", "tier=batch"
    PicoUsdSum
        saves;  ///< of the mean of a month, or of a thousand requests where there is no month
};
/// The levers of a scenario, the strongest first; those that change nothing, or whose price is unknown, are
/// left out.
[[nodiscard]] std::vector<Lever> rank_levers(const Prepared& flows, const Switches& switches,
                                             const Evaluation& how);

}  // namespace leeway::lab
