#pragma once

#include <optional>
#include <span>
#include <vector>

namespace leeway::lab {

/// What is known of some quantity on one request.
struct PartlyKnown {
    std::optional<double> value;
    double signal = 0;  ///< what its value may depend on
    double known_by = 0;  ///< what whether it is known may depend on
};

/// A number per request whose mean is an estimate of the mean of the quantity over all of them, known or not. Where all
/// are known, they themselves. Else a logistic curve over `signal`, corrected by the known values, each divided by the
/// chance of becoming known that another such curve, over `known_by`, tells; chances below 0.02 are raised to it, so that
/// a single request cannot outweigh fifty. Right where either curve is. `values` of the quantity lie in 0 … `most`.
[[nodiscard]] std::vector<double> doubly_robust(std::span<const PartlyKnown> rows, double most);

}  // namespace leeway::lab
