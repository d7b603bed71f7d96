#pragma once

#include "base/money.hpp"
#include "base/result.hpp"
#include "methods/router/predict/clusters.hpp"
#include "methods/router/predict/known_groups.hpp"
#include "methods/router/predict/neighbour_bank.hpp"
#include "methods/router/predict/ridge_moments.hpp"
#include "methods/router/predict/stack.hpp"
#include "methods/router/predict/text_cues.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace leeway::router {

/// What a model did with each of some queries.
struct ModelRecord {
    std::string model;
    std::vector<float> quality;  ///< 0 … 1; NaN: not known, and then the rest means nothing
    std::vector<PicoUsd> cost;
    std::vector<std::int32_t> tokens_out;  ///< -1: not known
};

/// Queries and what models did with them. Each record has `size()` elements.
struct OutcomeRows {
    std::size_t dimension = 0;
    std::vector<float> vectors;  ///< size() × dimension, of unit length
    std::vector<TextCues> cues;
    std::vector<ModelRecord> models;

    [[nodiscard]] std::size_t size() const noexcept { return cues.size(); }
    [[nodiscard]] std::span<const float> vector(std::size_t row) const noexcept {
        return std::span(vectors).subspan(row * dimension, dimension);
    }
};

/// What a model is expected to do with a query.
struct Prediction {
    float quality = 0;  ///< 0 … 1
    PicoUsd cost;
    float tokens_out = std::numeric_limits<float>::quiet_NaN();  ///< NaN: never learned
};

/// What was learned of one model. Plain data.
struct LearnedModel {
    std::string model;
    std::size_t rows = 0;  ///< it was learned from
    float mean_quality = 0;  ///< shrunk to that of all models when there are few rows
    LinearMap quality;  ///< of features
    std::vector<float> by_cluster;  ///< mean quality, shrunk to mean_quality
    std::vector<float> by_row;  ///< quality in each row of the bank; NaN: not known
    PicoUsd mean_cost;
    bool cost_varies = false;  ///< and can be told from the query; else it is mean_cost
    LinearMap log_cost;  ///< of features, logarithm of 1e-12 USD
    float cost_factor = 1;  ///< what the exponential must be multiplied by to be right in the mean
    bool knows_length = false;
    LinearMap log_length;  ///< logarithm of output tokens
    float length_factor = 1;
};

/// All that a predictor knows; enough to make it again. Plain data.
struct PredictorState {
    std::size_t dimension = 0;
    TextCues cue_means{};
    TextCues cue_scales{};
    Clusters clusters;
    NeighbourBank bank;
    double penalty = 10;  ///< of the regressions
    StackWeights weights{};
    std::vector<LearnedModel> models;
};

/// Tells for each model what quality, cost and length of answer to expect of a query, from what models did with other
/// queries: ridge regression on the vector and the cues, the nearest queries (at most 75, weighted by cosine, shrunk to the
/// model's mean), and a table of clusters (after UniRoute, arXiv 2502.08773, and Avengers-Pro, 2508.12631), stacked by
/// their loss on rows that they did not see. Immutable but for `add_model`; any thread may ask.
class OutcomePredictor {
public:
    explicit OutcomePredictor(PredictorState state);

    [[nodiscard]] const PredictorState& state() const noexcept { return state_; }
    [[nodiscard]] std::size_t models() const noexcept { return state_.models.size(); }
    /// Fills `out`, one per model. `vector` has the dimension of the state.
    void predict(std::span<const float> vector, const TextCues& cues,
                 std::span<Prediction> out) const;

    /// Adds a model, or replaces what is known of it, from its record on `rows` (of which only the record `record` is
    /// looked at); nothing about the others changes. A few hundred rows are enough. Errors: kInvalidRequest when the
    /// dimensions differ or nothing is known.
    [[nodiscard]] Result<void> add_model(const OutcomeRows& rows, std::size_t record);

private:
    PredictorState state_;
    KnownGroups groups_;
};

/// Learns all of a record but `by_row`, with the scales, clusters and penalty of `state`: its linear maps and its table.
/// Errors: kInvalidRequest when nothing is known.
[[nodiscard]] Result<void> learn_model(const PredictorState& state, const OutcomeRows& rows,
                                       std::size_t record, LearnedModel& learned);

/// What fitting gives besides the predictor.
struct FittedPredictor {
    OutcomePredictor predictor;
    /// size() × models: what is predicted of the rows that it was fitted to, each by regressions, neighbours and tables of
    /// the parts that it is not in. Clusters, penalty, weights of the ways and factors of cost and length are those of all
    /// rows.
    std::vector<Prediction> held_out;
};

struct PredictorFitting {
    std::size_t folds = 5;  ///< of the cross-validation by which penalty and weights are chosen
    std::uint64_t seed = 1;
};

/// Fits to `rows`. Errors: kInvalidRequest when there is no row or no model, lengths do not fit, or a model is not known
/// in any row.
[[nodiscard]] Result<FittedPredictor> fit_predictor(const OutcomeRows& rows,
                                                    const PredictorFitting& how = {});

}  // namespace leeway::router
