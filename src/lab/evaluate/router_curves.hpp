#pragma once

#include "methods/cascade/hull.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace leeway::lab {

/// What one way to route got and spent on each row, at each of its settings.
struct Played {
    std::size_t settings = 0;
    std::vector<float> quality;  ///< rows × settings
    std::vector<float> cost;  ///< USD, rows × settings

    Played() = default;
    Played(std::size_t rows, std::size_t of_settings)
        : settings(of_settings), quality(rows * of_settings), cost(rows * of_settings) {}
    void set(std::size_t row, std::size_t setting, double got, double spent) noexcept {
        quality[row * settings + setting] = static_cast<float>(got);
        cost[row * settings + setting] = static_cast<float>(spent);
    }
};

using cascade::CostQuality;

/// Mean of each setting over rows, of which row r counts `weights[r]` times.
[[nodiscard]] std::vector<CostQuality> mean_points(const Played& played,
                                                   std::span<const std::uint32_t> weights);

/// Mean quality over the costs from `low` to `high` on the straight lines between `points`, whose costs rise; before the
/// first and after the last the curve is level. With equal bounds the quality there.
[[nodiscard]] double area_under(std::span<const CostQuality> points, double low, double high);
/// The quality of that curve at `cost`.
[[nodiscard]] double quality_at(std::span<const CostQuality> points, double cost);
/// The least cost at which that curve has `quality`; infinite when it never has.
[[nodiscard]] double cost_for(std::span<const CostQuality> points, double quality);
/// The points of the upper hull, from the cheapest to the best.
[[nodiscard]] std::vector<CostQuality> hull_of(std::span<const CostQuality> points);
/// The points with their costs rising and no hull: for settings that were chosen on other rows.
[[nodiscard]] std::vector<CostQuality> by_cost(std::vector<CostQuality> points);

/// Calls `take` with how often each row was drawn, `resamples` times: as many rows as there are, with putting back,
/// within each stratum (a number per row).
void resample(std::span<const std::uint32_t> strata, std::size_t resamples, std::uint64_t seed,
              const std::function<void(std::span<const std::uint32_t>)>& take);

/// A figure with its 95 % interval.
struct Estimate {
    double value = 0;
    double low = 0;
    double high = 0;
};
/// The interval from the figure's values over resamples (percentiles 2.5 and 97.5); those that are not finite are left
/// out.
[[nodiscard]] Estimate estimate_of(double value, std::vector<double> resampled);

}  // namespace leeway::lab
