#pragma once

#include "base/result.hpp"
#include "methods/cascade/confidence.hpp"
#include "methods/cascade/hull.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace leeway::cascade {

/// What one model did on each labelled request.
struct LabelledModel {
    std::vector<double> quality;  ///< 0 … 1
    std::vector<double> cost;  ///< USD of the call, ≥ 0
    std::vector<Score> score;  ///< of its answer; empty: it gives none, so it can only be the last
};

/// Labelled requests, a column per model; all columns have an element per request.
struct Labelled {
    std::vector<LabelledModel> models;

    [[nodiscard]] std::size_t rows() const noexcept {
        return models.empty() ? 0 : models.front().quality.size();
    }
    [[nodiscard]] Labelled only(std::span<const std::size_t> rows) const;
    /// Adds the rows of `other`, which has the same models. A model without scores in either has none.
    void append(const Labelled& other);
};
/// kInvalidRequest: no model or no row, columns of different length, NaN, a quality outside 0 … 1, a negative or
/// infinite cost.
[[nodiscard]] Result<void> check_labels(const Labelled& labels);

/// Asks models in turn until an answer's score reaches its cut; the last is taken as it comes. One model: always that.
struct Policy {
    static constexpr std::size_t kMost = 3;
    std::array<std::uint16_t, kMost> models{};
    std::array<Score, kMost - 1> cuts{};
    std::uint8_t size = 1;  ///< models that it has, 1 … kMost

    [[nodiscard]] bool accepts(std::size_t place, const Score& score) const noexcept {
        return place + 1 >= size || score >= cuts[place];
    }
};
[[nodiscard]] Policy single_model(std::size_t model);
/// These models, 1 … kMost of them, in this order, with a cut for each but the last.
[[nodiscard]] Policy cascade_of(std::span<const std::size_t> models, std::span<const Score> cuts);

/// What it does on one request: the quality of the answer, and the cost of all calls made.
[[nodiscard]] CostQuality outcome(const Policy& policy, const Labelled& labels, std::size_t row);
/// Means over all rows.
[[nodiscard]] CostQuality outcome(const Policy& policy, const Labelled& labels);
/// The same of each model alone.
[[nodiscard]] std::vector<CostQuality> single_outcomes(const Labelled& labels);

/// Policies with what they are believed to cost and yield.
struct Frontier {
    std::vector<Policy> policies;
    std::vector<CostQuality> points;  ///< one of each policy
    std::vector<std::size_t> hull;  ///< places of the above, from cheap to dear; not empty
    /// Hull over single models.
    std::vector<std::size_t> zero;

    void add(const Policy& policy, const CostQuality& point) {
        policies.push_back(policy);
        points.push_back(point);
    }
};

/// How probabilities are had from confidences.
enum class Curve : std::uint8_t { kPlatt = 0, kIsotonic = 1 };

struct Sweep {
    Curve curve = Curve::kPlatt;
    /// So many rows' worth of belief in the calibrated curves against the counted outcomes: a pair's quality is its
    /// weighted mean of both. 0: only what was counted.
    double curve_rows = 800;
    /// A cascade is believed to beat the zero router when its gain at the same cost is at least so many standard errors;
    /// else it is left out. What is left is never below the zero router in belief, whatever lambda.
    double least_gain = 0.75;
    /// Labels of a pool that these belong to (other tasks with the same models in the same order), or null: the curves'
    /// slopes are drawn to its, but for models without scores there. Must outlive the call.
    const Labelled* pool = nullptr;
    bool chains = true;  ///< try three models, kept when they win on rows that did not choose them
};

/// The policies that are worth having, by these labels: single models, two-model cascades with every cut between two
/// labels (one sort and prefix sums per pair: O(models² × rows)), three-model chains where they win, without what does
/// not beat the zero router by enough. Errors: as `check`.
[[nodiscard]] Result<Frontier> fit_frontier(const Labelled& labels, const Sweep& sweep = {});

/// All single models and all pairs, dearer after cheaper; for each pair the hull over its cuts. `check`ed labels.
[[nodiscard]] Frontier sweep_pairs(const Labelled& labels, const Sweep& sweep);

}  // namespace leeway::cascade
