#include "lab/evaluate/pacing_evaluate.hpp"

#include "lab/evaluate/cascade_replay.hpp"
#include "methods/cascade/pacer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace leeway::lab {
namespace {

using cascade::CostQuality;
using cascade::Frontier;
using cascade::Labelled;

constexpr double kCapShare = 0.9;

struct Stream {
    std::string name;
    Labelled outcomes;
    std::vector<std::size_t> rows;  // in the order in which they come
};

PicoUsd pico(double usd) { return PicoUsd(static_cast<std::int64_t>(std::llround(usd * 1e12))); }

/// What a policy could cost at worst on this request: all its models.
PicoUsd worst_of(const cascade::Policy& policy, const Labelled& outcomes, std::size_t row) {
    double sum = 0;
    for (std::size_t i = 0; i < policy.size; ++i)
        sum += outcomes.models[policy.models[i]].cost[row];
    return pico(sum + 1e-12);  // rounding
}

/// A replay under a hard cap: a policy that does not fit gives way to the cheapest single model, and that to a refusal.
struct Capped {
    PicoUsd spent;
    std::size_t answered = 0;
};
Capped replay_capped(const Frontier& frontier, const Stream& stream, double target, PicoUsd limit) {
    cascade::Pacer pacer = cascade::pacer_for(frontier.points, frontier.hull, target);
    cascade::HardCap cap(limit);
    Capped out;
    for (const std::size_t row : stream.rows) {
        const std::size_t wanted =
            frontier.hull[cascade::best_at(frontier.points, frontier.hull, pacer.lambda())];
        for (const std::size_t policy : {wanted, frontier.zero.front()}) {
            const cascade::Policy& chosen = frontier.policies[policy];
            const PicoUsd worst = worst_of(chosen, stream.outcomes, row);
            if (!cap.reserve(worst)) continue;
            const CostQuality one = cascade::outcome(chosen, stream.outcomes, row);
            cap.settle(worst, pico(one.cost));
            pacer.settle(one.cost);
            ++out.answered;
            break;
        }
    }
    out.spent = cap.spent();
    return out;
}

/// One kind of stream at one cost, split by split.
class Kept {
public:
    Kept(std::string stream, double share) {
        out_.stream = std::move(stream);
        out_.share = share;
        out_.least = std::numeric_limits<double>::infinity();
    }

    void add(const Frontier& frontier, const Stream& stream, double target) {
        ++out_.splits;
        out_.requests = stream.rows.size();
        const auto n = static_cast<double>(stream.rows.size());
        const PicoUsd limit = pico(kCapShare * target * n);
        const Capped capped = replay_capped(frontier, stream, target, limit);
        out_.cap_passed += capped.spent > limit ? 1U : 0U;
        out_.capped_answered += static_cast<double>(capped.answered) / n;
        if (frontier.points[frontier.hull.back()].cost <= target) {
            ++out_.ample;
            return;
        }
        const CostQuality paced =
            mean_of(replay_paced(frontier, stream.outcomes, stream.rows, target));
        const double ratio = paced.cost / target;
        out_.target += target;
        out_.ratio += ratio;
        out_.least = std::min(out_.least, ratio);
        out_.most = std::max(out_.most, ratio);
        out_.quality += paced.quality;
        const auto unpaced =
            mean_of(replay_mixture(frontier, stream.outcomes.only(stream.rows),
                                   cascade::mixture_at(frontier.points, frontier.hull, target)));
        out_.unpaced_most = std::max(out_.unpaced_most, unpaced.cost / target);
    }
    PacingFigures finish() {
        out_.capped_answered /= static_cast<double>(std::max<std::size_t>(1, out_.splits));
        const auto measured = static_cast<double>(out_.splits - out_.ample);
        for (double* const sum : {&out_.target, &out_.ratio, &out_.quality}) *sum /= measured;
        return std::move(out_);
    }

private:
    PacingFigures out_;
};

/// Whether the policies of `data` can be played on `other`: it has the same models, with scores wherever those of `data`
/// have some.
bool can_follow(const CascadeData& data, const CascadeData& other) {
    if (&other == &data || other.models != data.models) return false;
    return std::equal(data.outcomes.models.begin(), data.outcomes.models.end(),
                      other.outcomes.models.begin(),
                      [](const cascade::LabelledModel& here, const cascade::LabelledModel& there) {
                          return here.score.empty() || !there.score.empty();
                      });
}

/// The rows of the test in random order and with ever longer prompts, then followed by those of each other task that can
/// follow.
std::vector<Stream> streams_of(const CascadeData& data, const CascadeSplit& split,
                               std::span<const CascadeData> tasks, std::uint64_t seed) {
    const Stream shuffled{data.task + ", shuffled", split.test,
                          shuffled_rows(split.test.rows(), seed)};
    std::vector<Stream> out{shuffled, shuffled};
    out[1].name = data.task + ", ever longer prompts";
    const std::vector<cascade::Score>& scores = split.test.models[data.top()].score;
    std::sort(out[1].rows.begin(), out[1].rows.end(), [&](std::size_t a, std::size_t b) {
        return scores[a].tie > scores[b].tie;  // shorter prompts first
    });
    for (const CascadeData& other : tasks) {
        if (!can_follow(data, other)) continue;
        Stream& then = out.emplace_back(shuffled);
        then.name = fmt::format("{} then {}", data.task, other.task);
        then.outcomes.append(other.outcomes);
        for (const std::size_t row : shuffled_rows(other.outcomes.rows(), seed))
            then.rows.push_back(split.test.rows() + row);
    }
    return out;
}

}  // namespace

std::vector<PacingFigures> evaluate_pacing(std::span<const CascadeData> tasks,
                                           const CascadePlan& plan) {
    std::vector<PacingFigures> out;
    for (const CascadeData& data : tasks) {
        const std::size_t top = data.top();
        if (data.outcomes.rows() < plan.labels + kLeastTest ||
            data.outcomes.models[top].score.empty())
            continue;
        std::vector<std::vector<Kept>> kept(plan.cost_shares.size());  // by cost, by stream
        for (std::size_t s = 0; s < plan.splits; ++s) {
            const std::uint64_t seed = seed_of(plan.seed, s);
            const CascadeSplit split = split_rows(data.outcomes, plan.labels, seed);
            const auto fitted = cascade::fit_frontier(split.labels, plan.sweep);
            if (!fitted) continue;
            const std::vector<Stream> streams = streams_of(data, split, tasks, seed);
            for (std::size_t c = 0; c < kept.size(); ++c) {
                const double share = plan.cost_shares[c];
                for (std::size_t i = 0; i < streams.size(); ++i) {
                    if (kept[c].size() == i) kept[c].emplace_back(streams[i].name, share);
                    kept[c][i].add(*fitted, streams[i], share * fitted->points[top].cost);
                }
            }
        }
        for (std::vector<Kept>& at_cost : kept)
            for (Kept& one : at_cost) out.push_back(one.finish());
    }
    return out;
}

}  // namespace leeway::lab
