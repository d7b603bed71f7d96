#pragma once

#include "base/result.hpp"
#include "lab/evaluate/router_curves.hpp"
#include "lab/outcomes/outcome_table.hpp"
#include "methods/router/predict/outcome_predictor.hpp"
#include "methods/router/predict/route_policy.hpp"
#include "models/embedding.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace leeway::lab {

struct RouterEvaluation {
    std::size_t folds = 5;  ///< at least 3
    std::uint64_t seed = 1;
    std::size_t resamples = 2000;
    double sure = router::PolicyFitting{}.sure;  ///< of the fall-back
    /// Told now and then which share of the work is done; may be empty.
    std::function<void(double)> progress;
};

/// One model, every query.
struct SingleFigures {
    std::string model;
    double quality = 0;
    double cost_usd = 0;
};

/// One way to route, compared like for like: the upper hull of its curve over the test rows.
struct RouterFigures {
    std::string name;
    double area =
        0;  ///< mean quality under its curve, from the cheapest to the dearest model's cost
    Estimate gap_recovered;  ///< (area − zero's) / (oracle's − zero's)
    /// What it predicts are qualities, so that its choices at a λ can be held against the zero router's.
    bool knows_quality = false;
    std::size_t below_zero =
        0;  ///< λ at which its mean of quality − λ·cost is below the zero router's
    /// The least difference of these, divided by 1 + λ·cost of the dearest model; 0 or below.
    double worst = 0;
    std::vector<CostQuality> hull;
};

/// What was measured, on rows that took no part in fitting. What is nested took none in choosing either; the hull of
/// RouterFigures is chosen on the very rows that it is told of.
struct RouterReport {
    std::size_t n = 0;  ///< rows
    std::size_t incomplete = 0;  ///< rows left out: an outcome is missing
    std::vector<SingleFigures> singles;  ///< in the table's order
    double zero_area = 0;
    double oracle_area = 0;
    /// Nested: settings for each budget are chosen on calibration rows, for Leeway and the zero router alike.
    Estimate gap_recovered;
    double nested_area = 0;
    double nested_zero_area = 0;
    Estimate
        gain_at_20;  ///< quality above the zero router's, at 20 % of the dearest model's cost; nested
    Estimate gain_at_50;
    /// Least share of the dearest model's cost for the best single model's quality less 0.01; nested; infinite: never.
    double cost_ratio = 0;
    std::size_t lambdas = 0;
    std::size_t below_zero =
        0;  ///< λ at which Leeway's mean of (quality − λ·cost) is below the zero router's
    std::size_t fallen_back =
        0;  ///< (λ, fold) pairs, of lambdas × folds, at which it is the zero router
    std::vector<RouterFigures> methods;  ///< Leeway first
    std::string frugal_skipped;  ///< why FrugalGPT is not among them, in a word; empty: it is
    std::vector<CostQuality> frugal_curve;  ///< nested: fitted to each budget on calibration rows
    std::vector<CostQuality> curve;  ///< nested, by budget
    std::vector<CostQuality> zero_curve;
    std::vector<CostQuality> oracle_hull;
    std::vector<router::StackWeights> weights;  ///< of each fold
    double decide_us = 0;  ///< one decision after the embedding, the median
};

/// Cross-validates the router on `table`, of which `vectors` are the embeddings of the queries. Errors: kInvalidRequest
/// (fewer than 10 rows a fold, fewer than two models, costs that are not known, vectors that do not fit).
[[nodiscard]] Result<RouterReport> evaluate_router(const OutcomeTable& table,
                                                   const models::VectorTable& vectors,
                                                   const RouterEvaluation& how);

/// What methods/router learns from, of these queries of a table; what is not known or all 0 is left out.
[[nodiscard]] router::OutcomeRows rows_of(const OutcomeTable& table,
                                          const models::VectorTable& vectors,
                                          std::span<const std::size_t> queries);

}  // namespace leeway::lab
