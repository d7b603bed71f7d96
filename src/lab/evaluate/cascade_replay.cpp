#include "lab/evaluate/cascade_replay.hpp"

#include "methods/cascade/pacer.hpp"

namespace leeway::lab {

Replayed replay_paced(const cascade::Frontier& frontier, const cascade::Labelled& outcomes,
                      std::span<const std::size_t> rows, double target) {
    cascade::Pacer pacer = cascade::pacer_for(frontier.points, frontier.hull, target);
    Replayed out;
    out.reserve(rows.size());
    for (const std::size_t row : rows) {
        const std::size_t policy =
            frontier.hull[cascade::best_at(frontier.points, frontier.hull, pacer.lambda())];
        out.push_back(cascade::outcome(frontier.policies[policy], outcomes, row));
        pacer.settle(out.back().cost);
    }
    return out;
}

Replayed replay_mixture(const cascade::Frontier& frontier, const cascade::Labelled& outcomes,
                        const cascade::Mixture& mixture) {
    Replayed out;
    out.reserve(outcomes.rows());
    for (std::size_t row = 0; row < outcomes.rows(); ++row) {
        const auto first = cascade::outcome(frontier.policies[mixture.first], outcomes, row);
        const auto second = cascade::outcome(frontier.policies[mixture.second], outcomes, row);
        out.push_back({(1 - mixture.share) * first.cost + mixture.share * second.cost,
                       (1 - mixture.share) * first.quality + mixture.share * second.quality});
    }
    return out;
}

cascade::CostQuality mean_of(const Replayed& replayed) {
    cascade::CostQuality sum;
    for (const auto& one : replayed) {
        sum.cost += one.cost;
        sum.quality += one.quality;
    }
    const auto n = static_cast<double>(replayed.size());
    return replayed.empty() ? sum : cascade::CostQuality{sum.cost / n, sum.quality / n};
}

}  // namespace leeway::lab
