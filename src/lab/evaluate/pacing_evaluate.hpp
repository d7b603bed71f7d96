#pragma once

#include "lab/evaluate/cascade_data.hpp"
#include "lab/evaluate/cascade_evaluate.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace leeway::lab {

/// How well a budget was kept on one kind of stream, over all splits.
struct PacingFigures {
    std::string stream;
    double share = 0;  ///< of the dearest model's cost
    std::size_t requests = 0;  ///< of a stream
    std::size_t splits = 0;
    /// Splits whose dearest worthwhile policy costs no more than the target, so that what is left is not spent. They are not
    /// in the figures that follow, which are NaN when there are no others.
    std::size_t ample = 0;
    double target = 0;  ///< USD per request: mean over splits
    double ratio = 0;  ///< realised over target: mean,
    double least = 0;  ///< and the split with the least
    double most = 0;  ///< and with the most
    double unpaced_most = 0;  ///< the same by the fitted mixture alone, without pacing
    double quality = 0;
    /// With a hard cap of nine tenths of what the target allows in all (all splits): splits in which more was spent (must
    /// be 0) and the share of requests that were answered at all.
    std::size_t cap_passed = 0;
    double capped_answered = 0;
};

/// Fits on the labels of each split of each task and replays the rest: in random order ("shuffled"), with ever longer
/// prompts, and one task's rows followed by those of each other under the first one's policy
/// ("A then B"), where each model with scores in A has some in B. Tasks with too few rows are left out, and those whose dearest model has no scores, which tell the lengths
/// of prompts.
[[nodiscard]] std::vector<PacingFigures> evaluate_pacing(std::span<const CascadeData> tasks,
                                                         const CascadePlan& plan);

}  // namespace leeway::lab
