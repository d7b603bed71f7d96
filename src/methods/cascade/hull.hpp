#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace leeway::cascade {

/// What a policy costs and yields per request.
struct CostQuality {
    double cost = 0;  ///< USD
    double quality = 0;  ///< 0 … 1
};

/// The vertices of the least concave, non-decreasing curve above all points, from cheap to dear: what mixtures of these
/// policies reach. Of equal points the first. The hull over single models is the zero router (Hu et al. 2024).
[[nodiscard]] std::vector<std::size_t> upper_hull(std::span<const CostQuality> points);

/// Two policies and how often the second is taken.
struct Mixture {
    std::size_t first = 0;
    std::size_t second = 0;  ///< the same where one is enough
    double share = 0;  ///< of requests that take the second: 0 … 1

    template <class Value>
    [[nodiscard]] double of(Value&& value) const {
        return share <= 0 ? value(first) : (1 - share) * value(first) + share * value(second);
    }
};

/// The mixture of neighbours on `hull` that costs `cost` by `points`; the ends where it would be less or more. `hull`:
/// numbers of points, rising in cost and not empty.
[[nodiscard]] Mixture mixture_at(std::span<const CostQuality> points,
                                 std::span<const std::size_t> hull, double cost);

/// The place in `hull` of the point with the largest quality - lambda × cost (the cheaper of equal ones), by bisection:
/// slopes fall along a hull. `lambda`: quality per USD, ≥ 0.
[[nodiscard]] std::size_t best_at(std::span<const CostQuality> points,
                                  std::span<const std::size_t> hull, double lambda);

/// The price of money at which the best point changes from costing less to costing more than `cost`; 0 where even the
/// dearest costs no more.
[[nodiscard]] double lambda_at(std::span<const CostQuality> points,
                               std::span<const std::size_t> hull, double cost);

}  // namespace leeway::cascade
