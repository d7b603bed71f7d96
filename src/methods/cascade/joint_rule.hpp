#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace leeway::cascade {

/// What is believed of an answer's quality.
struct Belief {
    double mean = 0;  ///< 0 … 1
    double deviation = 0;  ///< ≥ 0: how unsure the mean is
};

/// E[max(a, b)] - E[a] of two normal qualities (Clark 1961). `correlation`: of the two, -1 … 1. Never negative.
[[nodiscard]] double expected_gain(const Belief& now, const Belief& other,
                                   double correlation) noexcept;
/// The same where each answer is right or wrong and one can tell which: other right and now wrong, with probabilities
/// `now` and `other` and their correlation (of the two indicators; cut to what is possible).
[[nodiscard]] double expected_gain_checked(double now, double other, double correlation) noexcept;

/// A model that might be asked next.
struct NextModel {
    Belief quality;
    double correlation = 0;  ///< with the answer at hand
    double cost = 0;  ///< USD of the call as expected
    double switch_cost =
        0;  ///< USD that leaving the model at hand costs besides: a lost prompt cache
};

/// The rule of router and cascade: before the first call (`now` 0, 0) and after each answer ask the model with the largest
/// E[max(q now, q next)] - q now - lambda × (cost + switch cost) while it is above 0. nullopt: stop. Of equal ones
/// the first. `lambda`: quality per USD, from the budget (pacer.hpp).
[[nodiscard]] std::optional<std::size_t> next_model(const Belief& now,
                                                    std::span<const NextModel> models,
                                                    double lambda) noexcept;

}  // namespace leeway::cascade
