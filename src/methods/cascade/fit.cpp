#include "methods/cascade/chain_grid.hpp"
#include "methods/cascade/policy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

namespace leeway::cascade {
namespace {

constexpr std::size_t kChainSteps = 20;
// Below it, half of the labels cannot tell 500 chains from each other.
constexpr std::size_t kLeastChainRows = 200;

/// The pool's curve of one model's quality over another's confidence; nullopt: there is no pool, or it lacks confidences.
std::optional<Platt> pool_curve(const Sweep& sweep, std::size_t confident, std::size_t model) {
    if (sweep.pool == nullptr || sweep.pool->models[confident].score.empty()) return std::nullopt;
    std::vector<double> confidence;
    confidence.reserve(sweep.pool->rows());
    for (const Score& score : sweep.pool->models[confident].score)
        confidence.push_back(score.confidence);
    return fit_platt(confidence, sweep.pool->models[model].quality);
}

/// Quality as the curve and the counted outcomes have it together.
std::vector<double> believed(std::span<const double> confidence, std::span<const double> quality,
                             const std::optional<Platt>& pool, const Sweep& sweep) {
    const double rows = static_cast<double>(quality.size());
    const double weight = sweep.curve_rows / (sweep.curve_rows + rows);
    std::vector<double> out(quality.begin(), quality.end());
    if (!(weight > 0)) return out;
    const auto blend = [&](const auto& curve) {
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = (1 - weight) * out[i] + weight * curve.probability(confidence[i]);
    };
    if (sweep.curve == Curve::kIsotonic) {
        blend(Isotonic::fit(confidence, quality));
    } else {
        blend(pool ? fit_platt_towards(*pool, confidence, quality)
                   : fit_platt(confidence, quality));
    }
    return out;
}

/// Between two scores, the first the higher one.
Score between(const Score& above, const Score& below) noexcept {
    if (above.confidence != below.confidence)
        return {below.confidence + (above.confidence - below.confidence) / 2, below.tie};
    return {above.confidence, below.tie + (above.tie - below.tie) / 2};
}

/// The labels in the order of one model's score, the surest first.
struct Ordered {
    Ordered(const Labelled& labels, std::size_t model) : order(labels.rows()) {
        const std::vector<Score>& score = labels.models[model].score;
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::sort(order.begin(), order.end(),
                  [&](std::size_t x, std::size_t y) { return score[x] > score[y]; });
        for (const std::size_t row : order) {
            scores.push_back(score[row]);
            confidence.push_back(score[row].confidence);
        }
    }
    [[nodiscard]] std::vector<double> of(const std::vector<double>& column) const {
        std::vector<double> out;
        out.reserve(order.size());
        for (const std::size_t row : order) out.push_back(column[row]);
        return out;
    }
    std::vector<std::size_t> order;
    std::vector<Score> scores;
    std::vector<double> confidence;
};

double total(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
}

void add_pair(Frontier& out, std::array<std::size_t, 2> models, const Ordered& rows,
              const std::vector<double>& weak, const std::vector<double>& strong,
              const std::vector<double>& strong_cost, double weak_cost) {
    const auto n = static_cast<double>(weak.size());
    double quality = total(strong);
    double cost = total(strong_cost);
    std::vector<CostQuality> points;
    std::vector<std::size_t> accepted;
    for (std::size_t k = 1; k < weak.size(); ++k) {
        quality += weak[k - 1] - strong[k - 1];
        cost -= strong_cost[k - 1];
        if (rows.scores[k - 1] == rows.scores[k]) continue;
        points.push_back({weak_cost + cost / n, quality / n});
        accepted.push_back(k);
    }
    for (const std::size_t best : upper_hull(points)) {
        const std::array cut{between(rows.scores[accepted[best] - 1], rows.scores[accepted[best]])};
        out.add(cascade_of(models, cut), points[best]);
    }
}

/// Gains of rows. At least one is added before it is asked.
class Gains {
public:
    void add(double gain) {
        rows_ += 1;
        sum_ += gain;
        squares_ += gain * gain;
    }
    [[nodiscard]] double mean() const { return sum_ / rows_; }
    /// Standard error of the mean.
    [[nodiscard]] double error() const {
        return std::sqrt(std::max(0.0, squares_ / rows_ - mean() * mean()) / rows_);
    }

private:
    double rows_ = 0;
    double sum_ = 0;
    double squares_ = 0;
};

/// A policy's gains over a mixture of single models, row by row; both are what was counted.
Gains counted_gains(const Frontier& frontier, std::size_t policy, const Mixture& zero,
                    const Labelled& labels) {
    Gains out;
    for (std::size_t row = 0; row < labels.rows(); ++row) {
        out.add(outcome(frontier.policies[policy], labels, row).quality -
                zero.of([&](std::size_t single) {
                    return outcome(frontier.policies[single], labels, row).quality;
                }));
    }
    return out;
}

/// Keeps single models and what beats the zero router by enough.
void drop_unproven(Frontier& frontier, const Labelled& labels, const Sweep& sweep) {
    Frontier kept;
    const std::size_t singles = labels.models.size();
    for (std::size_t m = 0; m < singles; ++m) kept.add(frontier.policies[m], frontier.points[m]);
    for (const std::size_t vertex : frontier.hull) {
        if (vertex < singles) continue;
        const CostQuality& point = frontier.points[vertex];
        const Mixture zero = mixture_at(frontier.points, frontier.zero, point.cost);
        const double gain = point.quality - zero.of([&](std::size_t single) {
            return frontier.points[single].quality;
        });
        if (gain > sweep.least_gain * counted_gains(frontier, vertex, zero, labels).error())
            kept.add(frontier.policies[vertex], point);
    }
    kept.zero = frontier.zero;
    kept.hull = upper_hull(kept.points);
    frontier = std::move(kept);
}

}  // namespace

Frontier sweep_pairs(const Labelled& labels, const Sweep& sweep) {
    Frontier out;
    const std::size_t count = labels.models.size();
    const std::vector<CostQuality> singles = single_outcomes(labels);
    for (std::size_t m = 0; m < count; ++m) out.add(single_model(m), singles[m]);
    out.zero = upper_hull(out.points);
    for (std::size_t weak = 0; weak < count; ++weak) {
        if (labels.models[weak].score.empty()) continue;
        const Ordered rows(labels, weak);
        const std::vector<double> own =
            believed(rows.confidence, rows.of(labels.models[weak].quality),
                     pool_curve(sweep, weak, weak), sweep);
        for (std::size_t strong = 0; strong < count; ++strong) {
            if (!(out.points[weak].cost < out.points[strong].cost)) continue;
            add_pair(out, {weak, strong}, rows, own,
                     believed(rows.confidence, rows.of(labels.models[strong].quality),
                              pool_curve(sweep, weak, strong), sweep),
                     rows.of(labels.models[strong].cost), out.points[weak].cost);
        }
    }
    out.hull = upper_hull(out.points);
    return out;
}

namespace {

void add_chains(Frontier& frontier, const Labelled& labels) {
    const Frontier chains = fit_chains(labels, kChainSteps);
    for (const std::size_t i : chains.hull) frontier.add(chains.policies[i], chains.points[i]);
    frontier.hull = upper_hull(frontier.points);
}

/// Whether three-model chains, added to pairs, did better on rows that did not choose them: by more than a standard
/// error, both halves of the labels taking either part, over costs from the cheapest to the dearest model.
bool chains_win(const Labelled& labels, const Sweep& sweep) {
    if (labels.models.size() < 3 || labels.rows() < kLeastChainRows) return false;
    constexpr int kCosts = 8;
    Gains gains;
    Sweep alone = sweep;
    alone.pool = nullptr;  // it has the judging rows, too
    for (std::size_t part = 0; part < 2; ++part) {
        std::vector<std::size_t> choosing;
        std::vector<std::size_t> judging;
        for (std::size_t row = 0; row < labels.rows(); ++row)
            (row % 2 == part ? choosing : judging).push_back(row);
        const Labelled chosen = labels.only(choosing);
        const Labelled judged = labels.only(judging);
        const Frontier pairs = sweep_pairs(chosen, alone);
        Frontier both = pairs;
        add_chains(both, chosen);
        const double least = pairs.points[pairs.zero.front()].cost;
        const double most = pairs.points[pairs.zero.back()].cost;
        for (std::size_t row = 0; row < judged.rows(); ++row) {
            double gain = 0;
            for (int i = 1; i <= kCosts; ++i) {
                const double cost = least + (most - least) * i / (kCosts + 1);
                const auto yields = [&](const Frontier& frontier) {
                    return mixture_at(frontier.points, frontier.hull, cost)
                        .of([&](std::size_t policy) {
                            return outcome(frontier.policies[policy], judged, row).quality;
                        });
                };
                gain += (yields(both) - yields(pairs)) / kCosts;
            }
            gains.add(gain);
        }
    }
    return gains.mean() > gains.error();
}

}  // namespace

Result<Frontier> fit_frontier(const Labelled& labels, const Sweep& sweep) {
    if (auto good = check_labels(labels); !good) return fail(std::move(good.error()));
    Frontier out = sweep_pairs(labels, sweep);
    if (sweep.chains && chains_win(labels, sweep)) add_chains(out, labels);
    drop_unproven(out, labels, sweep);
    return out;
}

}  // namespace leeway::cascade
