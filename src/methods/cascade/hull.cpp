#include "methods/cascade/hull.hpp"

#include <algorithm>
#include <numeric>

namespace leeway::cascade {
namespace {

double slope(const CostQuality& from, const CostQuality& to) noexcept {
    return (to.quality - from.quality) / (to.cost - from.cost);
}

/// The first vertex that costs more than `cost`; the end: none does.
auto first_dearer(std::span<const CostQuality> points, std::span<const std::size_t> hull,
                  double cost) {
    return std::upper_bound(hull.begin(), hull.end(), cost,
                            [&](double c, std::size_t i) { return c < points[i].cost; });
}

}  // namespace

std::vector<std::size_t> upper_hull(std::span<const CostQuality> points) {
    std::vector<std::size_t> order(points.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (points[a].cost != points[b].cost) return points[a].cost < points[b].cost;
        if (points[a].quality != points[b].quality) return points[a].quality > points[b].quality;
        return a < b;
    });
    std::vector<std::size_t> hull;
    for (const std::size_t i : order) {
        if (!hull.empty() && points[i].quality <= points[hull.back()].quality) continue;
        while (hull.size() > 1 && slope(points[hull[hull.size() - 2]], points[hull.back()]) <=
                                      slope(points[hull[hull.size() - 2]], points[i])) {
            hull.pop_back();
        }
        hull.push_back(i);
    }
    return hull;
}

Mixture mixture_at(std::span<const CostQuality> points, std::span<const std::size_t> hull,
                   double cost) {
    const auto above = first_dearer(points, hull, cost);
    if (above == hull.begin()) return {hull.front(), hull.front(), 0};
    if (above == hull.end()) return {hull.back(), hull.back(), 0};
    const std::size_t low = *(above - 1);
    return {low, *above, (cost - points[low].cost) / (points[*above].cost - points[low].cost)};
}

std::size_t best_at(std::span<const CostQuality> points, std::span<const std::size_t> hull,
                    double lambda) {
    std::size_t low = 0;  // the answer is in [low, high]
    std::size_t high = hull.size() - 1;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (slope(points[hull[middle]], points[hull[middle + 1]]) > lambda) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

double lambda_at(std::span<const CostQuality> points, std::span<const std::size_t> hull,
                 double cost) {
    const auto above = first_dearer(points, hull, cost);
    if (above == hull.end()) return 0;
    if (above == hull.begin()) {
        return hull.size() > 1 ? slope(points[hull[0]], points[hull[1]]) : 0;
    }
    return slope(points[*(above - 1)], points[*above]);
}

}  // namespace leeway::cascade
