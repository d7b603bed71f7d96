#pragma once

#include "lab/evaluate/cascade_data.hpp"
#include "methods/cascade/policy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace leeway::lab {

struct CascadePlan {
    std::size_t labels = 400;
    std::size_t splits = 10;
    std::uint64_t seed = 1;
    std::vector<double> cost_shares = {0.2, 0.5};  ///< of the dearest model's mean cost
    cascade::Sweep sweep;
    /// Tasks to whose labels, as many of each, the curves' slopes are drawn; the measured one may be among them, and those
    /// with other models are passed over. Empty: none.
    std::span<const CascadeData> pool = {};
    bool rivals = true;
    std::size_t bootstrap = 2000;
};

/// How one method did at one cost, over all splits. Gains are in percentage points of quality over the zero router on
/// the same test rows at the very cost that the method had there.
struct CascadeGain {
    std::string method;
    double quality = 0;
    double gain_pp = 0;  ///< over the zero router whose vertices the labels chose
    std::array<double, 2> ci{};  ///< 95 %, paired bootstrap over queries
    double deviation = 0;  ///< of the splits
    double worst = 0;  ///< split
    /// Over the zero router whose vertices the test rows chose: nobody could have had it.
    double gain_hindsight_pp = 0;
    std::array<double, 2> hindsight_ci{};
    double cost_ratio = 0;  ///< realised over target
    double largest_cost_ratio = 0;  ///< of a split, and of one order of it where it is paced
};

struct CascadeAtCost {
    double share = 0;
    double target = 0;  ///< USD per request: mean over splits
    double zero_quality = 0;
    double oracle_quality = 0;
    std::vector<CascadeGain> methods;  ///< ours, paced, is the first
    double promised_pp = 0;  ///< gain that the labels made believe
    double fell_back = 0;  ///< share of splits that took the zero router
    double chains = 0;  ///< share of splits whose policy has three models
};

struct CascadeSingle {
    std::string model;
    double quality = 0;
    double cost = 0;  ///< USD per request
    double share_of_top = 0;  ///< its cost over that of the dearest
    double auroc =
        0;  ///< how well its confidence tells right from wrong; NaN: no confidence, or all one
};

struct CascadeReport {
    std::string task;
    std::size_t rows = 0;
    std::size_t incomplete = 0;
    std::string skipped;  ///< why it was not measured; empty: it was
    std::vector<CascadeSingle> singles;
    std::vector<CascadeAtCost> at;  ///< one per share of the plan
    double fit_ms = 0;  ///< mean time of a fit of all pairs (without chains)
};

/// Fits on `labels` rows of each split and tells figures on the rest. A task with fewer than `labels` + 50 rows is
/// skipped. `progress` is told the share that is done; may be empty.
[[nodiscard]] CascadeReport evaluate_cascade(const CascadeData& data, const CascadePlan& plan,
                                             const std::function<void(double)>& progress = {});

}  // namespace leeway::lab
