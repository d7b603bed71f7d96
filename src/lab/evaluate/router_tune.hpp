#pragma once

#include "base/result.hpp"
#include "lab/evaluate/router_curves.hpp"
#include "methods/router/predict/outcome_predictor.hpp"
#include "methods/router/predict/route_policy.hpp"
#include "methods/router/predict/router_file.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace leeway::lab {

struct RouterTuning {
    router::Spending spending;
    std::size_t folds = 5;  ///< at least 3
    std::uint64_t seed = 1;
    std::size_t resamples = 2000;
    double sure = router::PolicyFitting{}.sure;  ///< of the fall-back at each trade
    /// Told now and then which share of the work is done; may be empty.
    std::function<void(double)> progress;
};

/// Without so many rows nothing is claimed.
inline constexpr std::size_t kLeastTuningRows = 60;

/// The rows of these models only, in this order, in which the outcome of each is known. Errors: kInvalidRequest (a model that
/// is not there).
[[nodiscard]] Result<router::OutcomeRows> complete_rows(const router::OutcomeRows& rows,
                                                        std::span<const std::string> models);

/// A router for `rows`, of which every outcome is known, with what shows its worth at `spending`: each part of the rows is
/// routed by what predictor, policy and mixture were made of the other parts, beside the best mix of single models of those
/// at the same spending. Its gain is that in quality less the price, at the zero router's λ there, of what it spends more;
/// enough is an interval (over rows) above 0. The policy that is told is fitted to all rows; without enough evidence it is
/// the best single model at the spending. Not filled in: names of files and models, the time, `fingerprint`. Errors:
/// kInvalidRequest (no row, fewer than two models).
[[nodiscard]] Result<router::RouterFile> tune_router(const router::OutcomeRows& rows,
                                                     const RouterTuning& how);

}  // namespace leeway::lab
