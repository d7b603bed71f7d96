#pragma once

#include "methods/agent_cache/semantic/hit_model.hpp"

#include <array>
#include <cstddef>

namespace leeway::agent_cache::semantic {

/// Carries the pooled model over to one route: Bayesian logistic regression that starts from the pooled weights
/// and is updated one verdict at a time (extended Kalman filter of the log-odds). Deterministic; not
/// thread-safe.
class RouteLearner {
public:
    using Covariance = std::array<std::array<double, kInputs>, kInputs>;

    explicit RouteLearner(const HitModel::Weights& prior) noexcept;

    [[nodiscard]] double log_odds(const Inputs& inputs) const noexcept;
    void learn(const Inputs& inputs, bool right) noexcept;
    /// Keeps the weights and forgets how sure they were.
    void loosen() noexcept;

    [[nodiscard]] const HitModel::Weights& weights() const noexcept { return weights_; }
    [[nodiscard]] const Covariance& covariance() const noexcept { return covariance_; }
    void restore(const HitModel::Weights& weights, const Covariance& covariance) noexcept;

private:
    HitModel::Weights weights_;
    Covariance covariance_{};
};

}  // namespace leeway::agent_cache::semantic
