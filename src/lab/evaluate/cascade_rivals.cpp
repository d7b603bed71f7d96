#include "lab/evaluate/cascade_rivals.hpp"

#include "methods/cascade/chain_grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

namespace leeway::lab {
namespace {

using cascade::CostQuality;
using cascade::CutGrid;
using cascade::Labelled;
using cascade::Policy;
using cascade::Score;

constexpr std::size_t kGridSteps = 40;
constexpr int kSimplexSteps = 40;
constexpr double kTooDear = -1;  // below any quality

using Shares = std::array<double, 2>;

/// Downhill simplex in two dimensions (Nelder and Mead 1965), here uphill.
Shares climb(Shares begin, double step, const std::function<double(const Shares&)>& height) {
    struct Corner {
        Shares at;
        double height;
    };
    std::array<Corner, 3> corners{
        Corner{begin, height(begin)},
        Corner{{begin[0] + step, begin[1]}, height({begin[0] + step, begin[1]})},
        Corner{{begin[0], begin[1] + step}, height({begin[0], begin[1] + step})}};
    for (int i = 0; i < kSimplexSteps; ++i) {
        std::sort(corners.begin(), corners.end(),
                  [](const Corner& a, const Corner& b) { return a.height > b.height; });
        const Shares middle{(corners[0].at[0] + corners[1].at[0]) / 2,
                            (corners[0].at[1] + corners[1].at[1]) / 2};
        const auto along = [&](double t) {
            const Shares at{middle[0] + t * (corners[2].at[0] - middle[0]),
                            middle[1] + t * (corners[2].at[1] - middle[1])};
            return Corner{at, height(at)};
        };
        const Corner reflected = along(-1);
        if (reflected.height > corners[0].height) {
            const Corner expanded = along(-2);
            corners[2] = expanded.height > reflected.height ? expanded : reflected;
        } else if (reflected.height > corners[1].height) {
            corners[2] = reflected;
        } else if (const Corner inside = along(0.5); inside.height > corners[2].height) {
            corners[2] = inside;
        } else {
            for (std::size_t c = 1; c < 3; ++c) {
                for (std::size_t d = 0; d < 2; ++d)
                    corners[c].at[d] = (corners[0].at[d] + corners[c].at[d]) / 2;
                corners[c].height = height(corners[c].at);
            }
        }
    }
    return std::max_element(corners.begin(), corners.end(),
                            [](const Corner& a, const Corner& b) { return a.height < b.height; })
        ->at;
}

/// The cut that accepts this share of the labelled answers.
Score cut_at(const std::vector<Score>& falling, double share) {
    const auto n = static_cast<double>(falling.size());
    constexpr double kRounding = 1e-6;  // of a share that is told as one of n rows
    const auto rows = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * n + kRounding);
    if (rows == 0) return {std::numeric_limits<double>::infinity(), 0};
    return falling[rows - 1];
}

/// The share of them that each cut of a grid accepts. Where scores are equal there are fewer cuts, so a cut's place tells
/// no share.
std::vector<double> shares_of(const CutGrid& grid, const std::vector<Score>& falling) {
    std::vector<double> out;
    for (std::size_t i = 0; i < grid.size(); ++i) {
        const auto end = std::partition_point(falling.begin(), falling.end(),
                                              [&](const Score& one) { return one >= grid.cut(i); });
        out.push_back(static_cast<double>(end - falling.begin()) /
                      static_cast<double>(falling.size()));
    }
    return out;
}

}  // namespace

cascade::Policy frugal_gpt(const Labelled& labels, double budget) {
    const std::size_t count = labels.models.size();
    std::vector<std::optional<CutGrid>> grids(count);
    std::vector<std::vector<Score>> falling(count);
    std::vector<std::vector<double>> shares(count);
    const std::vector<CostQuality> singles = cascade::single_outcomes(labels);
    for (std::size_t m = 0; m < count; ++m) {
        if (labels.models[m].score.empty()) continue;
        grids[m].emplace(labels.models[m].score, kGridSteps);
        falling[m] = labels.models[m].score;
        std::sort(falling[m].begin(), falling[m].end(), std::greater<>());
        shares[m] = shares_of(*grids[m], falling[m]);
    }
    const auto cheapest = std::min_element(
        singles.begin(), singles.end(),
        [](const CostQuality& a, const CostQuality& b) { return a.cost < b.cost; });
    Policy best = cascade::single_model(static_cast<std::size_t>(cheapest - singles.begin()));
    double most = kTooDear;
    cascade::ChainGrid grid(labels);
    for (std::size_t a = 0; a < count; ++a) {
        if (!grids[a] || singles[a].cost > budget) continue;
        for (std::size_t b = 0; b < count; ++b) {
            if (!grids[b] || b == a) continue;
            for (std::size_t c = 0; c < count; ++c) {
                if (c == a || c == b) continue;
                const std::array models{a, b, c};
                grid.build(models, *grids[a], *grids[b]);
                double top = kTooDear;
                Shares begin{};
                for (std::size_t i = 0; i < grids[a]->size(); ++i) {
                    for (std::size_t j = 0; j < grids[b]->size(); ++j) {
                        if (shares[b][j] < shares[a][i]) continue;
                        const CostQuality at = grid.at(i, j);
                        if (at.cost > budget || at.quality <= top) continue;
                        top = at.quality;
                        begin = {shares[a][i], shares[b][j]};
                    }
                }
                if (top < 0) continue;
                const auto chain = [&](const Shares& of) {
                    const std::array cuts{cut_at(falling[a], of[0]), cut_at(falling[b], of[1])};
                    return cascade::cascade_of(models, cuts);
                };
                const auto height = [&](const Shares& of) {
                    if (of[0] < 0 || of[1] > 1 || of[1] < of[0]) return kTooDear;
                    const CostQuality at = cascade::outcome(chain(of), labels);
                    return at.cost > budget ? kTooDear : at.quality;
                };
                // Only a chain that could become the best is refined: a step of the grid is worth less than this.
                constexpr double kWithin = 0.01;
                if (top + kWithin < most) continue;
                const Shares refined = climb(begin, 1.0 / kGridSteps, height);
                const double reached = height(refined);
                if (reached > most) {
                    most = reached;
                    best = chain(refined);
                }
            }
        }
    }
    return best;
}

cascade::Frontier naive_pairs(const Labelled& labels) {
    return cascade::sweep_pairs(labels, {.curve_rows = 0, .least_gain = 0, .chains = false});
}

double oracle_quality(const Labelled& outcomes, double budget) {
    const auto n = static_cast<double>(outcomes.rows());
    double left = budget * n;
    double quality = 0;
    struct Step {
        double cost;
        double quality;
    };
    std::vector<Step> steps;
    std::vector<CostQuality> points(outcomes.models.size());
    for (std::size_t row = 0; row < outcomes.rows(); ++row) {
        for (std::size_t m = 0; m < points.size(); ++m)
            points[m] = {outcomes.models[m].cost[row], outcomes.models[m].quality[row]};
        const auto hull = cascade::upper_hull(points);
        left -= points[hull.front()].cost;
        quality += points[hull.front()].quality;
        for (std::size_t i = 1; i < hull.size(); ++i)
            steps.push_back({points[hull[i]].cost - points[hull[i - 1]].cost,
                             points[hull[i]].quality - points[hull[i - 1]].quality});
    }
    std::sort(steps.begin(), steps.end(),
              [](const Step& a, const Step& b) { return a.quality * b.cost > b.quality * a.cost; });
    for (const Step& step : steps) {
        if (left <= 0) break;
        const double part = std::min(1.0, left / step.cost);
        quality += part * step.quality;
        left -= part * step.cost;
    }
    return quality / n;
}

}  // namespace leeway::lab
