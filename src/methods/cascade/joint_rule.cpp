#include "methods/cascade/joint_rule.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::cascade {

double expected_gain(const Belief& now, const Belief& other, double correlation) noexcept {
    constexpr double kInverseRootTwo = 0.70710678118654752440;
    constexpr double kInverseRootTwoPi = 0.39894228040143267794;
    const double difference = other.mean - now.mean;
    const double spread =
        std::sqrt(std::max(0.0, now.deviation * now.deviation + other.deviation * other.deviation -
                                    2 * correlation * now.deviation * other.deviation));
    if (!(spread > 0)) return std::max(0.0, difference);
    const double d = difference / spread;
    const double below = std::erfc(-d * kInverseRootTwo) / 2;
    return std::max(0.0, difference * below + spread * kInverseRootTwoPi * std::exp(-d * d / 2));
}

double expected_gain_checked(double now, double other, double correlation) noexcept {
    const double both =
        now * other + correlation * std::sqrt(now * (1 - now) * other * (1 - other));
    const double possible = std::clamp(both, std::max(0.0, now + other - 1), std::min(now, other));
    return other - possible;
}

std::optional<std::size_t> next_model(const Belief& now, std::span<const NextModel> models,
                                      double lambda) noexcept {
    std::optional<std::size_t> best;
    double most = 0;
    for (std::size_t i = 0; i < models.size(); ++i) {
        const NextModel& model = models[i];
        const double worth = expected_gain(now, model.quality, model.correlation) -
                             lambda * (model.cost + model.switch_cost);
        if (worth > most) {
            most = worth;
            best = i;
        }
    }
    return best;
}

}  // namespace leeway::cascade
