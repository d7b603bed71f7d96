#pragma once

#include "app/commands/estimate_inputs.hpp"
#include "app/commands/estimate_show.hpp"

namespace leeway::app {

/// The whole of `leeway estimate` for a scenario that is read. Lengths of answers are taken from `recorded`, where it has enough.
[[nodiscard]] Result<Estimate> make_estimate(const EstimateOptions& options,
                                             EstimateSources& sources, lab::Scenario scenario,
                                             const lab::Recorded& recorded);

struct EstimateDiff {
    std::string text;
    bool within = false;  ///< no model is dearer by more than the threshold, and all are known
};
/// Compares two inputs, each a request, a workload or what `--json` printed of an estimate, model by model.
[[nodiscard]] Result<EstimateDiff> diff_estimates(const EstimateOptions& options,
                                                  EstimateSources& sources,
                                                  std::int64_t threshold_permille);

}  // namespace leeway::app
