#include "tokens/calibration.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::tokens {
namespace {

constexpr double kTwoSided95 = 1.96;
constexpr double kPriorWeight = 1;  // the prior's noise is worth one report
constexpr double kNoiseMemory = 255.0 / 256;  // the last few hundred reports say how far off we are
constexpr double kMostTokens = 1e15;  // no request has more, whatever hostile reports taught
// Who repeats one request teaches an error of nothing, and all others would look like a drift.
constexpr double kLeastNoise = 0.01;
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
    state_.mean = {prior.slope, 0.0, 0.0, 0.0, 3.0, prior.frame};
    // Deviations of the prior: slope, tool factor, per digit, per other byte, per message, fixed part.
    const Vector deviations{prior.slope * prior.noise, 0.3, 0.2, 0.1, 3.0, 20.0};
    for (std::size_t i = 0; i < kN; ++i) {
        state_.covariance[i][i] = deviations[i] * deviations[i] / (prior.noise * prior.noise);
    }
    state_.noise_weight = kPriorWeight;
    state_.noise_sum = kPriorWeight * prior.noise * prior.noise;
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
        for (std::size_t j = 0; j < kN; ++j) sum += x[i] * state_.covariance[i][j] * x[j];
    }
    return std::max(sum, 0.0);
}

double Calibration::relative_error() const noexcept {
    return std::max(std::sqrt(state_.noise_sum / state_.noise_weight), kLeastNoise);
}

TokenCount Calibration::estimate(const CalibrationFeatures& features) const {
    const double scale = scale_of(features);
    const Vector x = row(features, scale);
    double mean = 0;
    for (std::size_t i = 0; i < kN; ++i) mean += x[i] * state_.mean[i];
    const double half = kTwoSided95 * relative_error() * std::sqrt(1 + spread(x));
    const auto tokens = [scale](double value) {
        return static_cast<std::int64_t>(std::llround(std::clamp(value * scale, 0.0, kMostTokens)));
    };
    const Quality quality =
        state_.reports < kEnoughReports ? Quality::kHeuristic : Quality::kCalibrated;
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
        mean += x[i] * state_.mean[i];
        for (std::size_t j = 0; j < kN; ++j) gain[i] += state_.covariance[i][j] * x[j];
    }
    const double error = static_cast<double>(tokens) / scale - mean;
    const double expected = 1 + spread(x);
    const double standard = error / (relative_error() * std::sqrt(expected));
    const double weight = std::min(1.0, kHuber / std::max(std::abs(standard), 1e-9));
    // An observation of weight w has noise 1/w.
    const double total = spread(x) + 1 / weight;
    for (std::size_t i = 0; i < kN; ++i) state_.mean[i] += gain[i] * error / total;
    for (std::size_t i = 0; i < kN; ++i) {
        for (std::size_t j = 0; j < kN; ++j) state_.covariance[i][j] -= gain[i] * gain[j] / total;
    }
    const double noise = relative_error() * relative_error();
    state_.noise_weight = state_.noise_weight * kNoiseMemory + weight;
    state_.noise_sum = state_.noise_sum * kNoiseMemory +
                       weight * std::min(error * error / expected, kHuber * kHuber * noise);
    state_.drift += kDriftMemory * (std::clamp(standard, -2 * kHuber, 2 * kHuber) - state_.drift);
    ++state_.reports;
}

std::optional<Calibration> Calibration::restore(const State& state) {
    const auto finite = [](double value) {
        return std::isfinite(value);
    };
    bool sound = std::all_of(state.mean.begin(), state.mean.end(), finite) && finite(state.drift) &&
                 finite(state.noise_weight) && state.noise_weight > 0 && finite(state.noise_sum) &&
                 state.noise_sum >= 0;
    for (std::size_t i = 0; i < kN && sound; ++i) {
        const Vector& line = state.covariance[i];
        sound = std::all_of(line.begin(), line.end(), finite) && line[i] >= 0;
    }
    if (!sound) return std::nullopt;
    Calibration out;
    out.state_ = state;
    return out;
}

void Calibration::begin_again(ModelFamily family) {
    const Vector mean = state_.mean;
    *this = Calibration(family);
    state_.mean = mean;
}

bool Calibration::drifts() const noexcept { return std::abs(state_.drift) > kDriftLimit; }

}  // namespace leeway::tokens
