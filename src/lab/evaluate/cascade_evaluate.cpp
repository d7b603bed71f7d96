#include "lab/evaluate/cascade_evaluate.hpp"

#include "base/chances.hpp"
#include "base/clock.hpp"
#include "lab/evaluate/cascade_replay.hpp"
#include "lab/evaluate/cascade_rivals.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

namespace leeway::lab {
namespace {

using cascade::CostQuality;
using cascade::Frontier;
using cascade::Labelled;

constexpr std::size_t kOrders = 5;
constexpr double kPoints = 100;  // percentage points

/// The probability that a right answer is surer than a wrong one.
double auroc(const cascade::LabelledModel& model) {
    if (model.score.empty()) return std::numeric_limits<double>::quiet_NaN();
    std::vector<std::size_t> order(model.score.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto confidence = [&](std::size_t row) {
        return model.score[row].confidence;
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return confidence(a) < confidence(b); });
    double wrong_below = 0;
    double right_all = 0;
    double pairs = 0;
    for (std::size_t i = 0; i < order.size();) {
        double right = 0;
        double wrong = 0;
        const double same = confidence(order[i]);
        for (; i < order.size() && confidence(order[i]) == same; ++i)
            (model.quality[order[i]] >= 0.5 ? right : wrong) += 1;
        pairs += right * (wrong_below + wrong / 2);
        wrong_below += wrong;
        right_all += right;
    }
    return pairs / (right_all * wrong_below);
}

/// A method's gains over all splits, by query of the whole task so that queries can be drawn again.
class Gains {
public:
    Gains(std::string method, std::size_t rows, std::size_t splits)
        : by_query_(rows, 0), hindsight_(rows, 0), splits_(static_cast<double>(splits)) {
        out_.method = std::move(method);
    }

    /// `replayed`: what became of each row of the test. The zero router is the mixture that costs as much there.
    void add(const CascadeSplit& split, const Replayed& replayed, const Frontier& zero_router,
             double target) {
        const CostQuality mean = mean_of(replayed);
        const std::vector<CostQuality> singles = cascade::single_outcomes(split.test);
        const auto fitted =
            cascade::mixture_at(singles, rising(singles, zero_router.zero), mean.cost);
        const auto best = cascade::mixture_at(singles, cascade::upper_hull(singles), mean.cost);
        const auto n = static_cast<double>(replayed.size());
        double gain = 0;
        double hindsight = 0;
        for (std::size_t i = 0; i < replayed.size(); ++i) {
            const auto quality = [&](std::size_t model) {
                return split.test.models[model].quality[i];
            };
            const double over_fitted = (replayed[i].quality - fitted.of(quality)) / n;
            const double over_best = (replayed[i].quality - best.of(quality)) / n;
            by_query_[split.test_rows[i]] += over_fitted / splits_;
            hindsight_[split.test_rows[i]] += over_best / splits_;
            gain += over_fitted;
            hindsight += over_best;
        }
        gains_.push_back(kPoints * gain);
        out_.quality += mean.quality / splits_;
        out_.gain_pp += kPoints * gain / splits_;
        out_.gain_hindsight_pp += kPoints * hindsight / splits_;
        out_.cost_ratio += mean.cost / target / splits_;
        note_cost(mean.cost / target);
    }
    /// Of a split, or of a part of it that was measured by itself.
    void note_cost(double ratio) {
        out_.largest_cost_ratio = std::max(out_.largest_cost_ratio, ratio);
    }

    CascadeGain finish(std::size_t draws, std::uint64_t seed) {
        out_.worst = *std::min_element(gains_.begin(), gains_.end());
        double squares = 0;
        for (const double gain : gains_) squares += (gain - out_.gain_pp) * (gain - out_.gain_pp);
        if (gains_.size() > 1)
            out_.deviation = std::sqrt(squares / static_cast<double>(gains_.size() - 1));
        std::vector<double> fitted(draws);
        std::vector<double> best(draws);
        Chances chances(seed);
        const auto n = static_cast<std::uint32_t>(by_query_.size());
        for (std::size_t draw = 0; draw < draws; ++draw) {
            for (std::uint32_t i = 0; i < n; ++i) {
                const std::uint32_t query = chances.below(n);
                fitted[draw] += by_query_[query];
                best[draw] += hindsight_[query];
            }
        }
        out_.ci = middle(fitted);
        out_.hindsight_ci = middle(best);
        return std::move(out_);
    }

private:
    /// Without what costs no less here than a better one.
    static std::vector<std::size_t> rising(std::span<const CostQuality> points,
                                           std::span<const std::size_t> hull) {
        std::vector<std::size_t> out;
        for (auto at = hull.rbegin(); at != hull.rend(); ++at)
            if (out.empty() || points[*at].cost < points[out.back()].cost) out.push_back(*at);
        std::reverse(out.begin(), out.end());
        return out;
    }
    static std::array<double, 2> middle(std::vector<double>& draws) {
        if (draws.empty()) return {};
        std::sort(draws.begin(), draws.end());
        const auto at = [&](double share) {
            return kPoints *
                   draws[static_cast<std::size_t>(share * static_cast<double>(draws.size() - 1))];
        };
        constexpr double kTail = 0.025;
        return {at(kTail), at(1 - kTail)};
    }

    CascadeGain out_;
    std::vector<double> by_query_;
    std::vector<double> hindsight_;
    std::vector<double> gains_;
    double splits_;
};

/// The labels of this split and as many of each other task of the pool; no model: there is no other task.
Labelled pooled_labels(const CascadeData& data, const CascadeSplit& split, const CascadePlan& plan,
                       std::uint64_t seed) {
    Labelled out;
    for (const CascadeData& other : plan.pool) {
        if (other.task == data.task || other.models != data.models) continue;
        if (out.models.empty()) out = split.labels;
        const std::size_t count = std::min(plan.labels, other.outcomes.rows());
        out.append(split_rows(other.outcomes, count, seed).labels);
    }
    return out;
}

/// The models between which our policies choose, by chance and without the first being asked in vain.
cascade::Mixture random_mix(const Frontier& frontier, const cascade::Mixture& ours, double target) {
    const cascade::Policy& dearer = frontier.policies[ours.second];
    const std::size_t first = frontier.policies[ours.first].models[0];
    const std::size_t last = dearer.models[dearer.size - 1U];
    const double low = frontier.points[first].cost;
    const double high = frontier.points[last].cost;
    return {first, last, high > low ? std::clamp((target - low) / (high - low), 0.0, 1.0) : 0};
}

/// All methods at one cost, split by split.
class AtCost {
public:
    AtCost(const CascadePlan& plan, const CascadeData& data, double share)
        : plan_(plan), top_(data.top()), splits_(static_cast<double>(plan.splits)) {
        out_.share = share;
        std::vector<std::string> names{"cascade"};
        if (plan.rivals)
            names.insert(names.end(),
                         {"cascade, not paced", "naive pairs", "FrugalGPT", "random mix"});
        for (std::string& name : names)
            gains_.emplace_back(std::move(name), data.outcomes.rows(), plan.splits);
    }

    void add(const CascadeSplit& split, const Frontier& fitted, const Frontier& naive,
             std::uint64_t seed) {
        const double target = out_.share * fitted.points[top_].cost;
        add_paced(split, fitted, target, seed);
        note(split, fitted, target);
        if (!plan_.rivals) return;
        const auto mixed = [&](const Frontier& frontier) {
            return replay_mixture(frontier, split.test,
                                  cascade::mixture_at(frontier.points, frontier.hull, target));
        };
        gains_[1].add(split, mixed(fitted), fitted, target);
        gains_[2].add(split, mixed(naive), fitted, target);
        Frontier rival;
        rival.add(frugal_gpt(split.labels, target), {});
        gains_[3].add(split, replay_mixture(rival, split.test, {}), fitted, target);
        const auto ours = cascade::mixture_at(fitted.points, fitted.hull, target);
        gains_[4].add(split, replay_mixture(fitted, split.test, random_mix(fitted, ours, target)),
                      fitted, target);
    }

    CascadeAtCost finish() {
        for (Gains& gains : gains_)
            out_.methods.push_back(gains.finish(plan_.bootstrap, plan_.seed));
        return std::move(out_);
    }

private:
    /// The mean over several orders of the requests: which request meets which price of money is chance.
    void add_paced(const CascadeSplit& split, const Frontier& fitted, double target,
                   std::uint64_t seed) {
        Replayed mean(split.test.rows());
        for (std::size_t i = 0; i < kOrders; ++i) {
            const std::vector<std::size_t> order = shuffled_rows(mean.size(), seed * kOrders + i);
            const Replayed replayed = replay_paced(fitted, split.test, order, target);
            gains_[0].note_cost(mean_of(replayed).cost / target);
            for (std::size_t k = 0; k < order.size(); ++k) {
                mean[order[k]].quality += replayed[k].quality / kOrders;
                mean[order[k]].cost += replayed[k].cost / kOrders;
            }
        }
        gains_[0].add(split, mean, fitted, target);
    }

    void note(const CascadeSplit& split, const Frontier& fitted, double target) {
        const auto chosen = cascade::mixture_at(fitted.points, fitted.hull, target);
        const auto zero = cascade::mixture_at(fitted.points, fitted.zero, target);
        const auto quality = [&](std::size_t i) {
            return fitted.points[i].quality;
        };
        out_.promised_pp += kPoints * (chosen.of(quality) - zero.of(quality)) / splits_;
        const auto most =
            std::max(fitted.policies[chosen.first].size, fitted.policies[chosen.second].size);
        out_.fell_back += (most == 1 ? 1 : 0) / splits_;
        out_.chains += (most == 3 ? 1 : 0) / splits_;
        out_.target += target / splits_;
        out_.zero_quality += mean_of(replay_mixture(fitted, split.test, zero)).quality / splits_;
        out_.oracle_quality += oracle_quality(split.test, target) / splits_;
    }

    const CascadePlan& plan_;
    std::size_t top_;
    double splits_;
    CascadeAtCost out_;
    std::vector<Gains> gains_;
};

}  // namespace

CascadeReport evaluate_cascade(const CascadeData& data, const CascadePlan& plan,
                               const std::function<void(double)>& progress) {
    CascadeReport out;
    out.task = data.task;
    out.rows = data.outcomes.rows();
    out.incomplete = data.incomplete;
    const std::vector<CostQuality> singles = cascade::single_outcomes(data.outcomes);
    const double top = singles[data.top()].cost;
    for (std::size_t m = 0; m < data.models.size(); ++m) {
        const CostQuality& mean = singles[m];
        out.singles.push_back({data.models[m], mean.quality, mean.cost, mean.cost / top,
                               auroc(data.outcomes.models[m])});
    }
    if (out.rows < plan.labels + kLeastTest) {
        out.skipped = "too few rows for the labels and a test";
        return out;
    }
    if (!(top > 0)) {
        out.skipped = "no model costs anything";
        return out;
    }
    std::vector<AtCost> at;
    at.reserve(plan.cost_shares.size());
    for (const double share : plan.cost_shares) at.emplace_back(plan, data, share);
    cascade::Sweep pairs = plan.sweep;
    pairs.chains = false;
    cascade::Sweep with_chains = plan.sweep;
    Duration spent{};
    for (std::size_t s = 0; s < plan.splits; ++s) {
        const std::uint64_t seed = seed_of(plan.seed, s);
        const CascadeSplit split = split_rows(data.outcomes, plan.labels, seed);
        const Labelled pool = pooled_labels(data, split, plan, seed);
        pairs.pool = with_chains.pool = pool.models.empty() ? nullptr : &pool;
        const TimePoint begin = monotonic_now();
        const auto timed = cascade::fit_frontier(split.labels, pairs);
        spent += monotonic_now() - begin;
        const auto fitted =
            plan.sweep.chains ? cascade::fit_frontier(split.labels, with_chains) : timed;
        if (!fitted) {
            out.skipped = fitted.error().text();
            return out;
        }
        const Frontier naive = plan.rivals ? naive_pairs(split.labels) : Frontier{};
        for (AtCost& one : at) one.add(split, *fitted, naive, seed);
        if (progress) progress(static_cast<double>(s + 1) / static_cast<double>(plan.splits));
    }
    for (AtCost& one : at) out.at.push_back(one.finish());
    out.fit_ms =
        std::chrono::duration<double, std::milli>(spent).count() / static_cast<double>(plan.splits);
    return out;
}

}  // namespace leeway::lab
