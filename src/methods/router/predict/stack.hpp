#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace leeway::router {

/// How many ways there are to predict a quality: linear, neighbours, clusters.
inline constexpr std::size_t kWays = 3;

/// How much each way counts. None is negative.
using StackWeights = std::array<float, kWays>;

/// Weights, none negative, that make Σ w·way nearest to the truth in the mean square over rows that the ways did not
/// see. What is stacked are differences between the models of a row, since only these decide. With few rows the
/// weights stay near equal ones.
class Stacker {
public:
    /// One row: for each way the deviations of the models from their means, and the true ones. Of models whose truth is
    /// not known, nothing. The lengths are equal.
    void add(const std::array<std::span<const float>, kWays>& ways, std::span<const float> truth);
    [[nodiscard]] StackWeights weights() const;

private:
    std::array<std::array<double, kWays>, kWays> products_{};
    std::array<double, kWays> cross_{};
    double values_ = 0;
};

}  // namespace leeway::router
