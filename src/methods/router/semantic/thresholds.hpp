#pragma once

#include "methods/router/semantic/route_set.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace leeway::router {

/// Rows with their scores and what is right for them.
struct ScoredRows {
    static constexpr std::int32_t kNone = -1;  ///< all routes must reject it

    std::size_t routes = 0;
    std::vector<double> scores;  ///< rows × routes
    std::vector<std::int32_t> labels;

    [[nodiscard]] std::size_t size() const noexcept { return labels.size(); }
    [[nodiscard]] std::span<const double> row(std::size_t i) const noexcept {
        return std::span(scores).subspan(i * routes, routes);
    }
    void add(std::span<const double> scores_of_row, std::int32_t label);
};

/// What wins with these thresholds: the route whose score exceeds its threshold by most, or kNone where none does.
[[nodiscard]] std::int32_t winner(std::span<const double> scores,
                                  std::span<const double> thresholds) noexcept;
/// What this decision costs.
[[nodiscard]] double cost_of(std::int32_t decided, std::int32_t label,
                             const RouteCosts& costs) noexcept;
/// The mean over the rows.
[[nodiscard]] double mean_cost(const ScoredRows& rows, std::span<const double> thresholds,
                               const RouteCosts& costs);

/// The one threshold for all routes that costs least on these rows. Exact: only the cuts between two neighbouring
/// scores can differ, and each is tried. Of equal ones the middle of the widest gap.
[[nodiscard]] double common_threshold(const ScoredRows& rows, const RouteCosts& costs);

/// A threshold for each route: coordinate ascent from `common`, each step an exact sweep over the rows + 1 cuts of one
/// route. One moves only if that saves at least `least_gain` (in the costs' unit, over all rows), and no further than to
/// the near end of the best stretch, so that few rows cannot pull it far.
[[nodiscard]] std::vector<double> route_thresholds(const ScoredRows& rows, const RouteCosts& costs,
                                                   double common, double least_gain);

}  // namespace leeway::router
