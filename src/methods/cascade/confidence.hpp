#pragma once

#include <compare>
#include <cstddef>
#include <span>
#include <vector>

namespace leeway::cascade {

/// How sure a model is of an answer by its tokens: -log(1 - p), p the geometric mean of their probabilities (Zellinger
/// and Thomson 2025). 0 … 16.2: a mean log-probability above -1e-7 says no more than that, since APIs round there;
/// -∞, NaN and what is unknown are 0, the least of all; above 0 is taken for 0.
[[nodiscard]] double confidence_of(double mean_logprob) noexcept;
/// The p that a confidence stands for.
[[nodiscard]] double probability_of(double confidence) noexcept;

/// What answers are ordered by. Many answers have the very same confidence (log-probabilities that are exactly 0), a
/// threshold on it alone jumps from none of them to all.
struct Score {
    double confidence = 0;  ///< higher is surer; not NaN
    double tie = 0;  ///< a second signal, looked at where the confidence is the same; not NaN
    friend auto operator<=>(const Score&, const Score&) = default;
};

/// Probability that an answer of this confidence is right, as a logistic (Platt 1999).
struct Platt {
    double offset = 0;
    double slope = 0;
    double centre = 0;  ///< of the confidence,
    double scale = 1;  ///< and its spread. > 0

    [[nodiscard]] double probability(double confidence) const noexcept;
};

/// Fits by penalised likelihood (Newton). `quality`: 0 … 1, a share counts as so much of a right answer. Few or constant
/// rows give a flat curve near their mean, never one that runs off. The same number of both; none: probability ½.
[[nodiscard]] Platt fit_platt(std::span<const double> confidence, std::span<const double> quality);

/// The curve of one cluster of requests, its slope drawn to that of a pool that it belongs to: how much a confidence tells is
/// much the same for all, the level is the cluster's own. Without rows it is the pool's.
[[nodiscard]] Platt fit_platt_towards(const Platt& pool, std::span<const double> confidence,
                                      std::span<const double> quality);

/// A rising step function instead (pool adjacent violators, Ayer et al. 1955): no form is assumed, so it needs more rows.
class Isotonic {
public:
    /// As `fit_platt`.
    [[nodiscard]] static Isotonic fit(std::span<const double> confidence,
                                      std::span<const double> quality);
    /// Between two steps: on the line from one to the other.
    [[nodiscard]] double probability(double confidence) const noexcept;

private:
    struct Step {
        double confidence;  // mean of the rows
        double value;
    };
    std::vector<Step> steps_;
};

}  // namespace leeway::cascade
