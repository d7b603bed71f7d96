#pragma once

// The three ways to predict a quality, shared by predicting and by the cross-validation of fitting.

#include "methods/router/predict/outcome_predictor.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace leeway::router {

/// A query as the ways look at it.
struct AskedQuery {
    std::span<const float> vector;
    std::vector<float> features;  ///< the vector, then the scaled cues
    std::vector<std::uint32_t> order;  ///< clusters, nearest first
    std::array<float, 3> near_weights{};  ///< of the first clusters of `order`; their sum is 1
};
[[nodiscard]] AskedQuery look_at(const PredictorState& state, std::span<const float> vector,
                                 const TextCues& cues);

/// The models by the rows of the bank in which they are known.
[[nodiscard]] KnownGroups groups_of(const PredictorState& state);

/// The value of a cluster table.
[[nodiscard]] float table_value(const AskedQuery& asked, std::span<const float> by_cluster);

/// As if so many more rows of a cluster, or neighbours, had the model's mean quality.
inline constexpr float kPriorRows = 10;
/// As if so many more rows of a model had the mean quality of all models.
inline constexpr double kPriorModelRows = 5;

/// Queries that count as neighbours of one: 75, or an eighth of what is known where that is less.
[[nodiscard]] constexpr std::size_t neighbours_of(std::size_t known_rows) noexcept {
    return std::clamp<std::size_t>(known_rows / 8, 10, 75);
}

/// Fills `out`, one per model: the mean quality over the neighbours for which `accept` holds, shrunk to `means`.
template <class Accept>
void neighbour_values(const PredictorState& state, const KnownGroups& groups,
                      const AskedQuery& asked, std::span<const float> means, Accept&& accept,
                      std::span<float> out) {
    constexpr std::size_t kScanned = 1000;  // rows looked at: a dozen times those that count
    std::vector<NearRow> seen;
    seen.reserve(2 * kScanned);
    std::vector<std::size_t> found(groups.size());
    state.bank.scan(
        asked.vector, asked.order,
        [&](std::uint32_t row, float cosine) {
            if (!accept(row)) return;
            seen.push_back({cosine, row});
            for (std::size_t g = 0; g < groups.size(); ++g)
                found[g] += groups.known[g][row] ? 1 : 0;
        },
        [&] {
            for (std::size_t g = 0; g < groups.size(); ++g)
                if (found[g] < 2 * neighbours_of(groups.rows[g])) return false;
            return seen.size() >= kScanned;
        });
    std::vector<NearRow> of_group;
    for (std::size_t g = 0; g < groups.size(); ++g) {
        of_group.clear();
        for (const NearRow& one : seen)
            if (groups.known[g][one.row]) of_group.push_back(one);
        const std::size_t k = std::min(of_group.size(), neighbours_of(groups.rows[g]));
        std::nth_element(of_group.begin(), of_group.begin() + static_cast<std::ptrdiff_t>(k),
                         of_group.end(), [](const NearRow& a, const NearRow& b) {
                             return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row;
                         });
        for (std::size_t m = 0; m < out.size(); ++m) {
            if (groups.group_of[m] != g) continue;
            NeighbourMean mean;
            for (std::size_t i = 0; i < k; ++i)
                mean.add(of_group[i].cosine, state.models[m].by_row[of_group[i].row]);
            out[m] = mean.shrunk(means[m], kPriorRows);
        }
    }
}

/// What the ways say together.
[[nodiscard]] inline float stacked(const StackWeights& weights, float mean,
                                   const std::array<float, kWays>& ways) {
    float out = mean;
    for (std::size_t w = 0; w < kWays; ++w) out += weights[w] * (ways[w] - mean);
    return std::clamp(out, 0.0F, 1.0F);
}

/// exp(log_value) · factor.
[[nodiscard]] inline double from_log(float log_value, float factor) {
    return std::exp(static_cast<double>(log_value)) * static_cast<double>(factor);
}

/// Sets cost and length from what the regressions say, which are asked only where it counts. A cost is not further than
/// a factor of 50 from the mean: nobody knows what lies beyond the rows.
template <class LogCost, class LogLength>
void set_cost_and_length(const LearnedModel& model, LogCost&& log_cost, LogLength&& log_length,
                         Prediction& out) {
    constexpr double kMostRatio = 50;
    out.cost = model.mean_cost;
    if (model.cost_varies) {
        const auto mean = static_cast<double>(model.mean_cost.value());
        out.cost = PicoUsd(std::llround(std::clamp(from_log(log_cost(), model.cost_factor),
                                                   mean / kMostRatio, mean * kMostRatio)));
    }
    if (model.knows_length)
        out.tokens_out = static_cast<float>(from_log(log_length(), model.length_factor));
}

}  // namespace leeway::router
