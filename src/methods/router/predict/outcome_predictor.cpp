#include "methods/router/predict/outcome_predictor.hpp"

#include "methods/router/predict/ways.hpp"

#include <cmath>
#include <numeric>
#include <utility>

namespace leeway::router {
namespace {

// Of Avengers-Pro: how much nearer clusters count.
constexpr float kSharpness = 9;
constexpr float kCueScale = 0.1F;  // a vector's numbers are about 0.05

}  // namespace

KnownGroups groups_of(const PredictorState& state) {
    std::vector<std::span<const float>> qualities;
    qualities.reserve(state.models.size());
    for (const LearnedModel& one : state.models) qualities.emplace_back(one.by_row);
    return KnownGroups::of(qualities);
}

AskedQuery look_at(const PredictorState& state, std::span<const float> vector,
                   const TextCues& cues) {
    AskedQuery out;
    out.vector = vector;
    out.features.assign(vector.begin(), vector.end());
    for (std::size_t c = 0; c < kCues; ++c)
        out.features.push_back((cues[c] - state.cue_means[c]) * state.cue_scales[c] * kCueScale);
    std::vector<float> cosines(state.clusters.size());
    state.clusters.cosines(vector, cosines);
    out.order.resize(cosines.size());
    std::iota(out.order.begin(), out.order.end(), 0U);
    std::ranges::sort(out.order, [&](std::uint32_t a, std::uint32_t b) {
        return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b;
    });
    float sum = 0;
    for (std::size_t i = 0; i < std::min(out.near_weights.size(), out.order.size()); ++i) {
        out.near_weights[i] =
            std::exp(kSharpness * (cosines[out.order[i]] - cosines[out.order[0]]));
        sum += out.near_weights[i];
    }
    for (float& weight : out.near_weights) weight /= sum;
    return out;
}

float table_value(const AskedQuery& asked, std::span<const float> by_cluster) {
    float out = 0;
    for (std::size_t i = 0; i < std::min(asked.near_weights.size(), asked.order.size()); ++i)
        out += asked.near_weights[i] * by_cluster[asked.order[i]];
    return out;
}

OutcomePredictor::OutcomePredictor(PredictorState state)
    : state_(std::move(state)), groups_(groups_of(state_)) {}

void OutcomePredictor::predict(std::span<const float> vector, const TextCues& cues,
                               std::span<Prediction> out) const {
    const AskedQuery asked = look_at(state_, vector, cues);
    std::vector<float> means(out.size());
    for (std::size_t m = 0; m < out.size(); ++m) means[m] = state_.models[m].mean_quality;
    std::vector<float> near(out.size());
    neighbour_values(state_, groups_, asked, means, [](std::uint32_t) { return true; }, near);
    for (std::size_t m = 0; m < out.size(); ++m) {
        const LearnedModel& model = state_.models[m];
        out[m].quality = stacked(
            state_.weights, means[m],
            {model.quality.at(0, asked.features), near[m], table_value(asked, model.by_cluster)});
        set_cost_and_length(
            model, [&] { return model.log_cost.at(0, asked.features); },
            [&] { return model.log_length.at(0, asked.features); }, out[m]);
    }
}

Result<void> OutcomePredictor::add_model(const OutcomeRows& rows, std::size_t record) {
    if (rows.dimension != state_.dimension)
        return fail(ErrorCode::kInvalidRequest, "the vectors are of another length");
    LearnedModel learned;
    if (auto done = learn_model(state_, rows, record, learned); !done) return done;
    const auto same = std::ranges::find(state_.models, learned.model, &LearnedModel::model);
    // The bank grows by the rows of which something is known; the others know nothing there.
    learned.by_row.assign(state_.bank.size(), std::numeric_limits<float>::quiet_NaN());
    const std::vector<float>& quality = rows.models[record].quality;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        if (std::isnan(quality[r])) continue;
        state_.bank.add(rows.vector(r), state_.clusters.nearest(rows.vector(r)));
        for (LearnedModel& other : state_.models)
            other.by_row.push_back(std::numeric_limits<float>::quiet_NaN());
        learned.by_row.push_back(quality[r]);
    }
    if (same != state_.models.end()) {
        *same = std::move(learned);
    } else {
        state_.models.push_back(std::move(learned));
    }
    groups_ = groups_of(state_);
    return {};
}

}  // namespace leeway::router
