#include "methods/router/predict/ridge_moments.hpp"

#include "store/vectors/kernel.hpp"

#include <algorithm>

namespace leeway::router {

float LinearMap::at(std::size_t target, std::span<const float> features) const noexcept {
    return offsets[target] +
           store::vectors::dot(
               std::span(weights).subspan(target * features.size(), features.size()), features);
}

RidgeMoments::RidgeMoments(std::size_t features, std::size_t targets)
    : features_(features),
      targets_(targets),
      products_{features, std::vector<double>(features * features)},
      sums_(features),
      cross_(features * targets),
      target_sums_(targets),
      pending_(kBlock * features) {}

void RidgeMoments::add(std::span<const float> features, std::span<const double> targets) {
    double* const row = pending_.data() + held_ * features_;
    for (std::size_t d = 0; d < features_; ++d) row[d] = static_cast<double>(features[d]);
    for (std::size_t d = 0; d < features_; ++d) {
        sums_[d] += row[d];
        double* const cross = cross_.data() + d * targets_;
        for (std::size_t t = 0; t < targets_; ++t) cross[t] += row[d] * targets[t];
    }
    for (std::size_t t = 0; t < targets_; ++t) target_sums_[t] += targets[t];
    rows_ += 1;
    if (++held_ == kBlock) finish();
}

void RidgeMoments::finish() {
    if (held_ == 0) return;
    std::fill(pending_.begin() + static_cast<std::ptrdiff_t>(held_ * features_), pending_.end(),
              0.0);
    held_ = 0;
    const double* const a = pending_.data();
    const double* const b = a + features_;
    const double* const c = b + features_;
    const double* const d = c + features_;
    for (std::size_t i = 0; i < features_; ++i) {
        double* const to = products_.row(i);
        for (std::size_t j = 0; j <= i; ++j)
            to[j] += (a[i] * a[j] + b[i] * b[j]) + (c[i] * c[j] + d[i] * d[j]);
    }
}

void RidgeMoments::add(const RidgeMoments& other, double sign) {
    const auto into = [sign](std::vector<double>& to, const std::vector<double>& from) {
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += sign * from[i];
    };
    into(products_.values, other.products_.values);
    into(sums_, other.sums_);
    into(cross_, other.cross_);
    into(target_sums_, other.target_sums_);
    rows_ += sign * other.rows_;
}

LinearMap RidgeMoments::solve(double penalty) const {
    LinearMap out{std::vector<float>(targets_ * features_), std::vector<float>(targets_)};
    if (rows_ <= 0) return out;
    Matrix centred = products_;
    std::vector<double> x = cross_;
    for (std::size_t i = 0; i < features_; ++i) {
        const double mean = sums_[i] / rows_;
        double* const row = centred.row(i);
        for (std::size_t j = 0; j <= i; ++j) row[j] -= mean * sums_[j];
        row[i] += penalty;
        for (std::size_t t = 0; t < targets_; ++t) x[i * targets_ + t] -= mean * target_sums_[t];
    }
    factorise(centred);
    router::solve(centred, x, targets_);
    for (std::size_t t = 0; t < targets_; ++t) {
        double offset = target_sums_[t] / rows_;
        for (std::size_t i = 0; i < features_; ++i) {
            offset -= sums_[i] / rows_ * x[i * targets_ + t];
            out.weights[t * features_ + i] = static_cast<float>(x[i * targets_ + t]);
        }
        out.offsets[t] = static_cast<float>(offset);
    }
    return out;
}

}  // namespace leeway::router
