#include "methods/agent_cache/semantic/hit_model.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::agent_cache::semantic {
namespace {

constexpr HitModel::Weights kBuiltIn = {
#include "methods/agent_cache/semantic/hit_model_weights.inc"
};

constexpr double kMostLogOdds = 30;

double log_odds(const HitModel::Weights& weights, const Inputs& inputs) noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kInputs; ++i) sum += weights[i] * static_cast<double>(inputs[i]);
    return std::clamp(sum, -kMostLogOdds, kMostLogOdds);
}

/// What the neighbours say together, for one of them.
struct Surroundings {
    float rival = 0;  ///< cosine of the best neighbour of another entry
    float votes =
        0;  ///< share of the neighbours that are of the same entry, near ones counting more
    float kin = 0;    ///< neighbours of the same entry
};

Surroundings around(std::span<const Neighbour> neighbours, std::size_t chosen) noexcept {
    Surroundings out;
    float mine = 0;
    float all = 0;
    for (const Neighbour& other : neighbours) {
        const float near = std::max(0.0F, other.cosine);
        const float weight = near * near * near * near;
        all += weight;
        if (other.entry == neighbours[chosen].entry) {
            mine += weight;
            out.kin += 1;
        } else {
            out.rival = std::max(out.rival, other.cosine);
        }
    }
    out.votes = all > 0 ? mine / all : 0;
    return out;
}

Inputs inputs_of(const Question& asked, const Neighbour& kept, const Surroundings& around) {
    const LexicalFeatures lexical = compare(asked, *kept.question);
    const double cosine = std::clamp(static_cast<double>(kept.cosine), 0.0, 1.0);
    const double near =
        -std::log(1.005 - cosine) - 1.5;  // even steps where cosines crowd towards 1
    const std::array<double, kInputs> values = {
        1,
        near,
        near * near / 4,
        std::clamp((cosine - static_cast<double>(around.rival)) * 5, -1.0, 2.0),
        2 * static_cast<double>(around.votes) - 1,
        std::log2(static_cast<double>(around.kin)) / 2,
        lexical.content_overlap,
        lexical.containment,
        lexical.trigram_overlap,
        lexical.order,
        lexical.length_ratio,
        lexical.same_type ? 1.0 : 0.0,
        std::min(lexical.unshared, 8.0) / 4,
        lexical.same_text ? 1.0 : 0.0,
        kept.record.shift(),
    };
    Inputs out{};
    for (std::size_t i = 0; i < kInputs; ++i) out[i] = static_cast<float>(values[i]);
    return out;
}

}  // namespace

double EntryRecord::shift() const noexcept {
    const double total = static_cast<double>(right) + static_cast<double>(wrong);
    const double good = std::clamp(static_cast<double>(expected), 0.0, total);
    return std::log((static_cast<double>(right) + kPooling) / (good + kPooling)) -
           std::log((static_cast<double>(wrong) + kPooling) / (total - good + kPooling));
}

const HitModel& HitModel::built_in() noexcept {
    static constexpr HitModel kModel{kBuiltIn};
    return kModel;
}

std::optional<Candidate> HitModel::judge(const Question& asked,
                                         std::span<const Neighbour> neighbours) const {
    neighbours = neighbours.first(std::min(neighbours.size(), kNeighbours));
    if (neighbours.empty() || neighbours.front().cosine < kFar) return std::nullopt;
    std::optional<Candidate> best;
    for (std::size_t i = 0; i < neighbours.size(); ++i) {
        const Neighbour& kept = neighbours[i];
        if (kept.cosine < kFar) break;
        const Veto veto = veto_of(asked, *kept.question);
        if (veto != Veto::kNone && best) continue;
        const Surroundings surroundings = around(neighbours, i);
        Candidate candidate;
        candidate.neighbour = i;
        candidate.entry = kept.entry;
        candidate.cosine = kept.cosine;
        candidate.margin = kept.cosine - surroundings.rival;
        candidate.veto = veto;
        candidate.inputs = inputs_of(asked, kept, surroundings);
        if (veto == Veto::kNone) {
            candidate.probability = 1 / (1 + std::exp(-log_odds(weights_, candidate.inputs)));
        }
        const bool better = !best || (best->veto != Veto::kNone && veto == Veto::kNone) ||
                            candidate.probability > best->probability;
        if (better) best = candidate;
    }
    return best;
}

}  // namespace leeway::agent_cache::semantic
