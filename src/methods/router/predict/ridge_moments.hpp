#pragma once

#include "methods/router/cholesky.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace leeway::router {

/// A linear map from features to several values. Plain data.
struct LinearMap {
    std::vector<float> weights;  ///< targets × features
    std::vector<float> offsets;  ///< one per target

    /// The value of one target.
    [[nodiscard]] float at(std::size_t target, std::span<const float> features) const noexcept;
};

/// What ridge regression must know of rows: sums that can be added and taken away, so that parts of a cross-validation
/// share the work. One thread at a time.
class RidgeMoments {
public:
    RidgeMoments(std::size_t features, std::size_t targets);

    void add(std::span<const float> features, std::span<const double> targets);
    /// The rows of `other`, `sign` 1 to add them, −1 to take them away. Both must be complete (`finish`).
    void add(const RidgeMoments& other, double sign);
    /// To be called after the last row.
    void finish();

    [[nodiscard]] double rows() const noexcept { return rows_; }
    /// The mean of a target.
    [[nodiscard]] double mean(std::size_t target) const noexcept {
        return rows_ > 0 ? target_sums_[target] / rows_ : 0;
    }
    /// The regression with an unpenalised offset. With no rows all values are 0.
    [[nodiscard]] LinearMap solve(double penalty) const;

private:
    static constexpr std::size_t kBlock = 4;  // rows taken up at once

    std::size_t features_;
    std::size_t targets_;
    double rows_ = 0;
    Matrix products_;  // lower half of Σ z zᵀ
    std::vector<double> sums_;  // Σ z
    std::vector<double> cross_;  // Σ z yᵀ, features × targets
    std::vector<double> target_sums_;
    std::vector<double> pending_;  // up to kBlock rows of features
    std::size_t held_ = 0;
};

}  // namespace leeway::router
