#pragma once

#include "base/money.hpp"
#include "methods/cascade/hull.hpp"
#include "methods/router/predict/outcome_predictor.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// An amount for statistics, where it meets qualities; never booked.
[[nodiscard]] inline double in_usd(PicoUsd amount) noexcept {
    return static_cast<double>(amount.value()) * 1e-12;
}

/// Which of the models of a policy may be asked, a bit each, the lowest for the first.
using ModelSet = std::uint64_t;
inline constexpr std::size_t kMostModels = 64;
inline constexpr ModelSet kAllModels = ~ModelSet{0};
[[nodiscard]] constexpr bool holds(ModelSet set, std::size_t model) noexcept {
    return ((set >> model) & 1U) != 0;
}

/// The model with the largest quality − λ·cost of those that may be asked; of equal ones the cheaper, then the first.
/// `lambda`: quality per USD. `predictions` is not empty, and one of theirs is in the set.
[[nodiscard]] std::size_t best_trade(std::span<const Prediction> predictions, double lambda,
                                     ModelSet eligible = kAllModels) noexcept;

/// λ from 0 (quality alone) to one at which only the price counts, in `steps` steps of one ratio but for the ends, for
/// models of which the dearest costs `dearest_usd` a call.
[[nodiscard]] std::vector<double> lambda_ladder(double dearest_usd, std::size_t steps = 60);

/// How queries are routed at one λ.
struct RouteTrade {
    double lambda = 0;  ///< quality per USD
    /// Predictions decide; else every query goes to `single`, since on held-out rows they were not surely better.
    bool learned = false;
    std::uint32_t single = 0;  ///< the best single model at this λ
    /// Expected gain in quality − λ·cost from which a query leaves `single`: small ones are mostly noise.
    double margin = 0;
    double quality = 0;  ///< held out, of what decides
    double cost_usd = 0;  ///< likewise, the mean of a call
};

/// A router over all λ that falls back to the best single model wherever it has not shown to be better: plain data.
struct RoutePolicy {
    std::vector<RouteTrade> trades;  ///< λ ascending

    /// The model for a query at `trades[trade]`.
    [[nodiscard]] std::size_t choose(std::size_t trade,
                                     std::span<const Prediction> predictions) const noexcept;
    /// The same among some models, at least one. Where the trade's single model is not one of them, the best by `means`
    /// stands in for it. `predictions` may be empty where the trade is not learned.
    [[nodiscard]] std::size_t choose_among(std::size_t trade,
                                           std::span<const Prediction> predictions,
                                           std::span<const Prediction> means,
                                           ModelSet eligible) const noexcept;
    /// What each trade costs and yields.
    [[nodiscard]] std::vector<cascade::CostQuality> points() const;
    /// The two trades between which chance decides to spend `usd` a call in the mean, by what was measured on held-out
    /// rows: on their upper hull. A budget beyond it is not spent, one below it cannot be kept: then the cheapest.
    [[nodiscard]] cascade::Mixture for_budget(double usd) const;
};

struct PolicyFitting {
    /// How many standard errors the held-out gain must be above 0 to be believed.
    double sure = 2;
};

/// What each model does in the mean over all rows. An outcome that is not known counts as quality 0, since nobody can
/// promise more, and with its cost, which must be there all the same.
[[nodiscard]] std::vector<Prediction> mean_predictions(const OutcomeRows& rows);

/// Fits to what was predicted of rows that the prediction did not see (`held_out`, rows × models) and what came of
/// them. What is not known counts as in `mean_predictions`.
[[nodiscard]] RoutePolicy fit_policy(const OutcomeRows& rows, std::span<const Prediction> held_out,
                                     std::span<const double> lambdas,
                                     const PolicyFitting& how = {});
/// The router that sees no query: the best single model at each λ, by the means of `rows`.
[[nodiscard]] RoutePolicy zero_policy(const OutcomeRows& rows, std::span<const double> lambdas);

}  // namespace leeway::router
