#pragma once

#include "base/money.hpp"
#include "methods/cascade/hull.hpp"

#include <cstddef>
#include <span>

namespace leeway::cascade {

struct Pacing {
    double target = 0;  ///< USD per request, mean. > 0
    double step = 0.04;  ///< how fast lambda follows a request that cost more or less. > 0
    /// What was over- or underspent so far is made good over about so many requests. > 0
    double window = 100;
    double least_lambda = 1e-6;  ///< quality per USD; below it money is no object. > 0
    double most_lambda = 1e9;
};

/// Keeps the mean cost at a target: the price of money rises after a dear request and falls after a cheap one
/// (primal–dual, in its multiplicative form: Balseiro, Lu and Mirrokni 2023), so that no scale of lambda has to be known. The
/// sum of what was over- or underspent is part of the target, so it does not stay. A value: one per key or route, with
/// its owner's lock.
class Pacer {
public:
    /// `lambda`: to begin with, as `lambda_at` of the fitted frontier says.
    Pacer(const Pacing& pacing, double lambda) noexcept;

    /// Quality that a USD must buy at the moment.
    [[nodiscard]] double lambda() const noexcept { return lambda_; }
    /// What a request cost in the end, USD, with all its attempts.
    void settle(double cost) noexcept;
    /// Spent more than the target allows so far, USD; negative: less.
    [[nodiscard]] double overspent() const noexcept { return overspent_; }

private:
    Pacing pacing_;
    double lambda_;
    double overspent_ = 0;
};

/// A pacer for policies on a hull: it begins with the price of money that the target costs there, and never leaves the
/// prices at which the choice changes by much, so that a long time in which nothing dear enough, or nothing cheap enough,
/// was asked does not have to be undone. `hull`: as in hull.hpp; `target` > 0.
[[nodiscard]] Pacer pacer_for(std::span<const CostQuality> points,
                              std::span<const std::size_t> hull, double target) noexcept;

/// An amount that is never passed: what a request could cost at worst is set aside before its first call. A value, as
/// above.
class HardCap {
public:
    explicit HardCap(PicoUsd limit) noexcept : limit_(limit) {}

    /// Sets `worst` (≥ 0) aside if it fits beside what was spent and set aside; false: ask a cheaper model or refuse.
    [[nodiscard]] bool reserve(PicoUsd worst) noexcept;
    /// Gives back a reservation; `cost` is 0 … `worst`, a larger one is what the worst case should have been and is counted
    /// whole.
    void settle(PicoUsd worst, PicoUsd cost) noexcept;
    [[nodiscard]] PicoUsd spent() const noexcept { return spent_; }
    [[nodiscard]] PicoUsd left() const noexcept;

private:
    PicoUsd limit_;
    PicoUsd spent_;
    PicoUsd reserved_;
};

}  // namespace leeway::cascade
