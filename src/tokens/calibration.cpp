#include "tokens/calibration.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::tokens {
namespace {

constexpr double kTwoSided95 = 1.96;
constexpr double kPriorWeight = 1;  // the prior's noise is worth one report
constexpr double kNoiseMemory = 255.0 / 256;  // the last few hundred reports say how far off we are
constexpr double kMostTokens = 1e15;  // no request has more, whatever hostile reports taught
constexpr double kHuber = 3;  // standard deviations up to which an error counts in full
constexpr double kDriftMemory = 0.1;
// The moving mean of independent standard errors has deviation sqrt(0.1 / 1.9) = 0.23: five of those.
constexpr double kDriftLimit = 1.15;

/// Tokens per o200k token and fixed tokens per request before any report; relative noise. Claude: a
/// message frame of 7 (older) or 6 (newer family) tokens; newer models give about 30 % more tokens.
struct Prior {
    double slope;
    double frame;
    double noise;
};
Prior prior_of(ModelFamily family) noexcept {
    switch (family) {
        case ModelFamily::kClaude3: return {1.20, 7, 0.15};
        case ModelFamily::kClaude47: return {1.56, 6, 0.15};
        case ModelFamily::kGemini: return {1.05, 2, 0.12};
        case ModelFamily::kOpenWeights: return {1.08, 8, 0.15};
        case ModelFamily::kOpenAi:
        case ModelFamily::kHarmony: return {1.0, 3, 0.02};
        case ModelFamily::kUnknown: break;
    }
    return {1.15, 5, 0.25};
}

}  // namespace

Calibration::Calibration(ModelFamily family) {
    const Prior prior = prior_of(family);
    mean_ = {prior.slope, 0.0, 0.0, 0.0, 3.0, prior.frame};
    // Deviations of the prior: slope, tool factor, per digit, per other byte, per message, fixed part.
    const Vector deviations{prior.slope * prior.noise, 0.3, 0.2, 0.1, 3.0, 20.0};
    for (std::size_t i = 0; i < kN; ++i) {
        covariance_[i][i] = deviations[i] * deviations[i] / (prior.noise * prior.noise);
    }
    noise_weight_ = kPriorWeight;
    noise_sum_ = kPriorWeight * prior.noise * prior.noise;
}

double Calibration::scale_of(const CalibrationFeatures& features) noexcept {
    return std::max(features.base_tokens, 1.0) + 4 * std::max(features.messages, 1.0);
}

Calibration::Vector Calibration::row(const CalibrationFeatures& f, double scale) noexcept {
    return {f.base_tokens / scale, f.tool_tokens / scale, f.digit_bytes / scale,
            f.other_bytes / scale, f.messages / scale,    f.requests / scale};
}

double Calibration::spread(const Vector& x) const noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < kN; ++i) {
        for (std::size_t j = 0; j < kN; ++j) sum += x[i] * covariance_[i][j] * x[j];
    }
    return std::max(sum, 0.0);
}

double Calibration::relative_error() const noexcept {
    return std::sqrt(noise_sum_ / noise_weight_);
}

TokenCount Calibration::estimate(const CalibrationFeatures& features) const {
    const double scale = scale_of(features);
    const Vector x = row(features, scale);
    double mean = 0;
    for (std::size_t i = 0; i < kN; ++i) mean += x[i] * mean_[i];
    const double half = kTwoSided95 * relative_error() * std::sqrt(1 + spread(x));
    const auto tokens = [scale](double value) {
        return static_cast<std::int64_t>(std::llround(std::clamp(value * scale, 0.0, kMostTokens)));
    };
    const Quality quality = reports_ == 0 ? Quality::kHeuristic : Quality::kCalibrated;
    return {tokens(mean), tokens(mean - half), tokens(mean + half), quality};
}

void Calibration::learn(const CalibrationFeatures& features, std::int64_t tokens) {
    const double scale = scale_of(features);
    const Vector x = row(features, scale);
    if (tokens <= 0 ||
        !std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); })) {
        return;
    }
    Vector gain{};  // covariance · x
    double mean = 0;
    for (std::size_t i = 0; i < kN; ++i) {
        mean += x[i] * mean_[i];
        for (std::size_t j = 0; j < kN; ++j) gain[i] += covariance_[i][j] * x[j];
    }
    const double error = static_cast<double>(tokens) / scale - mean;
    const double expected = 1 + spread(x);
    const double standard = error / (relative_error() * std::sqrt(expected));
    const double weight = std::min(1.0, kHuber / std::max(std::abs(standard), 1e-9));
    // An observation of weight w has noise 1/w.
    const double total = spread(x) + 1 / weight;
    for (std::size_t i = 0; i < kN; ++i) mean_[i] += gain[i] * error / total;
    for (std::size_t i = 0; i < kN; ++i) {
        for (std::size_t j = 0; j < kN; ++j) covariance_[i][j] -= gain[i] * gain[j] / total;
    }
    const double noise = noise_sum_ / noise_weight_;
    noise_weight_ = noise_weight_ * kNoiseMemory + weight;
    noise_sum_ = noise_sum_ * kNoiseMemory +
                 weight * std::min(error * error / expected, kHuber * kHuber * noise);
    drift_ += kDriftMemory * (std::clamp(standard, -2 * kHuber, 2 * kHuber) - drift_);
    ++reports_;
}

bool Calibration::drifts() const noexcept { return std::abs(drift_) > kDriftLimit; }

}  // namespace leeway::tokens
