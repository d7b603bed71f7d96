#include "methods/cascade/pacer.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::cascade {

Pacer::Pacer(const Pacing& pacing, double lambda) noexcept
    : pacing_(pacing), lambda_(std::clamp(lambda, pacing.least_lambda, pacing.most_lambda)) {}

void Pacer::settle(double cost) noexcept {
    const double goal = pacing_.target - overspent_ / pacing_.window;
    overspent_ += cost - pacing_.target;
    lambda_ = std::clamp(lambda_ * std::exp(pacing_.step * (cost - goal) / pacing_.target),
                         pacing_.least_lambda, pacing_.most_lambda);
}

Pacer pacer_for(std::span<const CostQuality> points, std::span<const std::size_t> hull,
                double target) noexcept {
    Pacing pacing;
    pacing.target = target;
    if (hull.size() > 1) {
        constexpr double kBeyond = 1.5;
        const CostQuality& last = points[hull.back()];
        const double below_last = (points[hull[hull.size() - 2]].cost + last.cost) / 2;
        pacing.most_lambda = kBeyond * lambda_at(points, hull, 0);
        pacing.least_lambda = lambda_at(points, hull, below_last) / kBeyond;
    }
    return {pacing, lambda_at(points, hull, target)};
}

bool HardCap::reserve(PicoUsd worst) noexcept {
    const auto taken = spent_.plus(reserved_);
    const auto after = taken ? taken->plus(worst) : std::nullopt;
    if (worst < PicoUsd() || !after || *after > limit_) return false;
    reserved_ = *reserved_.plus(worst);
    return true;
}

void HardCap::settle(PicoUsd worst, PicoUsd cost) noexcept {
    reserved_ = reserved_.minus(worst).value_or(PicoUsd());
    spent_ = spent_.plus(cost).value_or(limit_);
}

PicoUsd HardCap::left() const noexcept {
    const auto taken = spent_.plus(reserved_);
    const auto out = taken ? limit_.minus(*taken) : std::nullopt;
    return std::max(PicoUsd(), out.value_or(PicoUsd()));
}

}  // namespace leeway::cascade
