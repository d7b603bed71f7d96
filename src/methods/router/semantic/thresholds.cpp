#include "methods/router/semantic/thresholds.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace leeway::router {
namespace {

// How far beyond the outermost score a threshold goes that takes all or none.
constexpr double kBeyond = 0.05;
constexpr double kTiny = 1e-9;
constexpr int kMostRounds = 8;

/// One row in a sweep: with a threshold of at most `cut` it costs `taken`, else `left`.
struct Step {
    double cut = 0;
    double taken = 0;
    double left = 0;
};

/// A stretch of thresholds of equal cost.
struct Stretch {
    double low = 0;
    double high = 0;
    [[nodiscard]] double middle() const noexcept { return (low + high) / 2; }
    [[nodiscard]] double width() const noexcept { return high - low; }
};

struct Sweep {
    double cost = 0;  ///< the least
    std::vector<Stretch> stretches;  ///< all that have it
};

/// Tries every cut; `steps` must not be empty.
Sweep sweep(std::vector<Step>& steps) {
    std::sort(steps.begin(), steps.end(),
              [](const Step& a, const Step& b) { return a.cut > b.cut; });
    double cost = 0;
    for (const Step& step : steps) cost += step.left;
    Sweep best{cost, {{steps.front().cut + kTiny, steps.front().cut + 2 * kBeyond}}};
    for (std::size_t i = 0; i < steps.size(); ++i) {
        cost += steps[i].taken - steps[i].left;
        const bool last = i + 1 == steps.size();
        if (!last && steps[i + 1].cut == steps[i].cut) continue;
        if (cost > best.cost + kTiny) continue;
        if (cost < best.cost - kTiny) best = {cost, {}};
        const double low = last ? steps[i].cut - 2 * kBeyond : steps[i + 1].cut + kTiny;
        // Two stretches that touch are one.
        if (!best.stretches.empty() && best.stretches.back().low <= steps[i].cut + 2 * kTiny) {
            best.stretches.back().low = low;
        } else {
            best.stretches.push_back({low, steps[i].cut});
        }
    }
    return best;
}

/// The best threshold within the stretches that is near `wish`.
double near(const std::vector<Stretch>& stretches, double wish) {
    double best = wish;
    double least = std::numeric_limits<double>::infinity();
    for (const Stretch& one : stretches) {
        if (wish >= one.low && wish <= one.high) return wish;
        const double way = wish < one.low ? one.low - wish : wish - one.high;
        if (way >= least) continue;
        least = way;
        // Not at the very end: rows there are as likely to fall on either side.
        const double inward = std::min(one.width() / 2, kBeyond / 2);
        best = wish < one.low ? one.low + inward : one.high - inward;
    }
    return best;
}

}  // namespace

void ScoredRows::add(std::span<const double> scores_of_row, std::int32_t label) {
    scores.insert(scores.end(), scores_of_row.begin(), scores_of_row.end());
    labels.push_back(label);
}

std::int32_t winner(std::span<const double> scores, std::span<const double> thresholds) noexcept {
    std::int32_t best = ScoredRows::kNone;
    double most = 0;
    for (std::size_t r = 0; r < scores.size(); ++r) {
        const double excess = scores[r] - thresholds[r];
        const bool first = best == ScoredRows::kNone;
        if (excess > most || (first && excess >= 0)) {
            best = static_cast<std::int32_t>(r);
            most = excess;
        }
    }
    return best;
}

double cost_of(std::int32_t decided, std::int32_t label, const RouteCosts& costs) noexcept {
    if (decided == label) return 0;
    if (label == ScoredRows::kNone) return costs.wrong_accept;
    return decided == ScoredRows::kNone ? costs.wrong_reject : costs.wrong_route;
}

double mean_cost(const ScoredRows& rows, std::span<const double> thresholds,
                 const RouteCosts& costs) {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
        sum += cost_of(winner(rows.row(i), thresholds), rows.labels[i], costs);
    return rows.size() == 0 ? 0 : sum / static_cast<double>(rows.size());
}

double common_threshold(const ScoredRows& rows, const RouteCosts& costs) {
    if (rows.size() == 0) return 0;
    std::vector<Step> steps;
    steps.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto scores = rows.row(i);
        const auto best = std::max_element(scores.begin(), scores.end());
        const auto route = static_cast<std::int32_t>(best - scores.begin());
        steps.push_back({*best, cost_of(route, rows.labels[i], costs),
                         cost_of(ScoredRows::kNone, rows.labels[i], costs)});
    }
    const Sweep found = sweep(steps);
    return std::max_element(
               found.stretches.begin(), found.stretches.end(),
               [](const Stretch& a, const Stretch& b) { return a.width() < b.width(); })
        ->middle();
}

std::vector<double> route_thresholds(const ScoredRows& rows, const RouteCosts& costs, double common,
                                     double least_gain) {
    std::vector<double> thresholds(rows.routes, common);
    std::vector<Step> steps(rows.size());
    for (int round = 0; round < kMostRounds; ++round) {
        bool moved = false;
        for (std::size_t r = 0; r < rows.routes; ++r) {
            double now = 0;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const auto scores = rows.row(i);
                // What happens where this route does not win, and by how much it would have to.
                std::int32_t other = ScoredRows::kNone;
                double excess = 0;
                for (std::size_t q = 0; q < rows.routes; ++q) {
                    if (q == r || scores[q] - thresholds[q] < excess) continue;
                    other = static_cast<std::int32_t>(q);
                    excess = scores[q] - thresholds[q];
                }
                const auto own = static_cast<std::int32_t>(r);
                steps[i] = {scores[r] - excess, cost_of(own, rows.labels[i], costs),
                            cost_of(other, rows.labels[i], costs)};
                now += thresholds[r] <= steps[i].cut ? steps[i].taken : steps[i].left;
            }
            if (steps.empty()) continue;
            const Sweep found = sweep(steps);
            if (now - found.cost < std::max(least_gain, kTiny)) continue;
            thresholds[r] = near(found.stretches, thresholds[r]);
            moved = true;
        }
        if (!moved) break;
    }
    return thresholds;
}

}  // namespace leeway::router
