#include "lab/evaluate/router_curves.hpp"

#include "base/chances.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace leeway::lab {
namespace {

double between(const CostQuality& a, const CostQuality& b, double cost) {
    if (b.cost <= a.cost) return b.quality;
    return a.quality + (b.quality - a.quality) * (cost - a.cost) / (b.cost - a.cost);
}

}  // namespace

std::vector<CostQuality> mean_points(const Played& played, std::span<const std::uint32_t> weights) {
    const std::size_t n = played.settings;
    std::vector<double> quality(n);
    std::vector<double> cost(n);
    double rows = 0;
    for (std::size_t r = 0; r < weights.size(); ++r) {
        if (weights[r] == 0) continue;
        const double weight = weights[r];
        rows += weight;
        const float* const q = played.quality.data() + r * n;
        const float* const c = played.cost.data() + r * n;
        for (std::size_t s = 0; s < n; ++s) {
            quality[s] += weight * static_cast<double>(q[s]);
            cost[s] += weight * static_cast<double>(c[s]);
        }
    }
    std::vector<CostQuality> out(n);
    for (std::size_t s = 0; s < n; ++s)
        out[s] = {cost[s] / std::max(rows, 1.0), quality[s] / std::max(rows, 1.0)};
    return out;
}

double quality_at(std::span<const CostQuality> points, double cost) {
    if (cost <= points.front().cost) return points.front().quality;
    for (std::size_t i = 1; i < points.size(); ++i)
        if (cost <= points[i].cost) return between(points[i - 1], points[i], cost);
    return points.back().quality;
}

double area_under(std::span<const CostQuality> points, double low, double high) {
    if (high <= low) return quality_at(points, low);
    double area = 0;
    double at = low;
    double quality = quality_at(points, low);
    for (const CostQuality& point : points) {
        if (point.cost <= at) {
            if (point.cost == at) quality = point.quality;
            continue;
        }
        const double to = std::min(point.cost, high);
        const double next = to == point.cost ? point.quality : quality_at(points, to);
        area += (to - at) * (quality + next) / 2;
        at = to;
        quality = next;
        if (at >= high) return area / (high - low);
    }
    area += (high - at) * quality;
    return area / (high - low);
}

double cost_for(std::span<const CostQuality> points, double quality) {
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (points[i].quality < quality) continue;
        if (i == 0) return points[0].cost;
        const CostQuality& a = points[i - 1];
        const CostQuality& b = points[i];
        return a.cost + (b.cost - a.cost) * (quality - a.quality) / (b.quality - a.quality);
    }
    return std::numeric_limits<double>::infinity();
}

std::vector<CostQuality> hull_of(std::span<const CostQuality> points) {
    std::vector<CostQuality> out;
    for (const std::size_t i : cascade::upper_hull(points)) out.push_back(points[i]);
    return out;
}

std::vector<CostQuality> by_cost(std::vector<CostQuality> points) {
    std::ranges::sort(points, [](const CostQuality& a, const CostQuality& b) {
        return a.cost != b.cost ? a.cost < b.cost : a.quality < b.quality;
    });
    return points;
}

void resample(std::span<const std::uint32_t> strata, std::size_t resamples, std::uint64_t seed,
              const std::function<void(std::span<const std::uint32_t>)>& take) {
    std::map<std::uint32_t, std::vector<std::uint32_t>> rows;
    for (std::size_t r = 0; r < strata.size(); ++r)
        rows[strata[r]].push_back(static_cast<std::uint32_t>(r));
    Chances chances(seed);
    std::vector<std::uint32_t> weights(strata.size());
    for (std::size_t i = 0; i < resamples; ++i) {
        std::ranges::fill(weights, 0U);
        for (const auto& [stratum, of] : rows) {
            const auto n = static_cast<std::uint32_t>(of.size());
            for (std::uint32_t k = 0; k < n; ++k) ++weights[of[chances.below(n)]];
        }
        take(weights);
    }
}

Estimate estimate_of(double value, std::vector<double> resampled) {
    std::erase_if(resampled, [](double x) { return !std::isfinite(x); });
    if (resampled.empty()) return {value, value, value};
    std::ranges::sort(resampled);
    const auto at = [&](double share) {
        const auto last = static_cast<double>(resampled.size() - 1);
        return resampled[static_cast<std::size_t>(std::lround(share * last))];
    };
    return {value, at(0.025), at(0.975)};
}

}  // namespace leeway::lab
