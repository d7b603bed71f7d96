#include "methods/agent_cache/semantic/route_learner.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::agent_cache::semantic {
namespace {

// How far weights of one route lie from the pooled ones: variances, of the level and of the rest.
constexpr double kLevelVariance = 1;
constexpr double kWeightVariance = 0.1;
constexpr double kMostLogOdds = 30;

}  // namespace

RouteLearner::RouteLearner(const HitModel::Weights& prior) noexcept : weights_(prior) { loosen(); }

void RouteLearner::loosen() noexcept {
    covariance_ = {};
    for (std::size_t i = 0; i < kInputs; ++i) {
        covariance_[i][i] = i == 0 ? kLevelVariance : kWeightVariance;
    }
}

double RouteLearner::log_odds(const Inputs& inputs) const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kInputs; ++i) sum += weights_[i] * static_cast<double>(inputs[i]);
    return std::clamp(sum, -kMostLogOdds, kMostLogOdds);
}

void RouteLearner::learn(const Inputs& inputs, bool right) noexcept {
    const double p = 1 / (1 + std::exp(-log_odds(inputs)));
    const double h = std::max(p * (1 - p), 1e-6);
    std::array<double, kInputs> spread{};
    double variance = 0;
    for (std::size_t i = 0; i < kInputs; ++i) {
        for (std::size_t j = 0; j < kInputs; ++j) {
            spread[i] += covariance_[i][j] * static_cast<double>(inputs[j]);
        }
        variance += spread[i] * static_cast<double>(inputs[i]);
    }
    const double gain = 1 / (1 + h * variance);
    const double error = (right ? 1 : 0) - p;
    for (std::size_t i = 0; i < kInputs; ++i) {
        weights_[i] += gain * spread[i] * error;
        for (std::size_t j = 0; j < kInputs; ++j) {
            covariance_[i][j] -= gain * h * spread[i] * spread[j];
        }
    }
}

void RouteLearner::restore(const HitModel::Weights& weights,
                           const Covariance& covariance) noexcept {
    weights_ = weights;
    covariance_ = covariance;
}

}  // namespace leeway::agent_cache::semantic
