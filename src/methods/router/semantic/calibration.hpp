#pragma once

#include "methods/router/semantic/thresholds.hpp"

#include <span>
#include <vector>

namespace leeway::router {

/// How sure a decision is: a softmax over what each route's score exceeds its threshold by, and 0 for "none", divided
/// by a temperature (Guo et al. 2017). So the likeliest is always what wins. One value per route; the rest to 1 is that
/// all reject.
[[nodiscard]] std::vector<double> probabilities(std::span<const double> scores,
                                                std::span<const double> thresholds,
                                                double temperature);

/// Where nothing was fitted: between those of the sets that were looked at (0.05 to 0.12).
inline constexpr double kDefaultTemperature = 0.08;

/// The temperature under which these rows are likeliest.
[[nodiscard]] double fit_temperature(const ScoredRows& rows, std::span<const double> thresholds);

/// A decision with what was said of it.
struct Judged {
    double probability = 0;
    bool right = false;
};
/// Expected calibration error: the mean distance between what was said and what came, over ten equal bins, weighted by
/// their rows. 0 for none.
[[nodiscard]] double calibration_error(std::span<const Judged> decisions);

}  // namespace leeway::router
