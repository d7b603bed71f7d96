#include "lab/evaluate/cache_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

namespace leeway::lab {

using agent_cache::semantic::HitModel;
using agent_cache::semantic::kInputs;

namespace {

using Vector = std::array<double, kInputs>;
using Matrix = std::array<Vector, kInputs>;

constexpr double kRidge = 20;
constexpr double kVerdictsOfSet = 20'000;  // what each set is worth
constexpr int kMostSteps = 50;

/// Solves m x = b for a positive definite m, by Cholesky's decomposition.
Vector solve(Matrix m, Vector b) {
    for (std::size_t j = 0; j < kInputs; ++j) {
        for (std::size_t k = 0; k < j; ++k) m[j][j] -= m[j][k] * m[j][k];
        m[j][j] = std::sqrt(m[j][j]);
        for (std::size_t i = j + 1; i < kInputs; ++i) {
            for (std::size_t k = 0; k < j; ++k) m[i][j] -= m[i][k] * m[j][k];
            m[i][j] /= m[j][j];
        }
    }
    for (std::size_t i = 0; i < kInputs; ++i) {
        for (std::size_t k = 0; k < i; ++k) b[i] -= m[i][k] * b[k];
        b[i] /= m[i][i];
    }
    for (std::size_t i = kInputs; i-- > 0;) {
        for (std::size_t k = i + 1; k < kInputs; ++k) b[i] -= m[k][i] * b[k];
        b[i] /= m[i][i];
    }
    return b;
}

}  // namespace

HitModel fit_hit_model(std::span<const std::vector<LabelledInputs>> sets) {
    Vector weights{};
    for (int step = 0; step < kMostSteps; ++step) {
        Vector gradient{};
        Matrix curvature{};
        for (std::size_t i = 0; i < kInputs; ++i) {
            gradient[i] = -kRidge * weights[i];
            curvature[i][i] = kRidge;
        }
        for (const std::vector<LabelledInputs>& set : sets) {
            const double worth =
                kVerdictsOfSet / static_cast<double>(std::max<std::size_t>(1, set.size()));
            for (const LabelledInputs& one : set) {
                double log_odds = 0;
                for (std::size_t i = 0; i < kInputs; ++i) {
                    log_odds += weights[i] * static_cast<double>(one.inputs[i]);
                }
                const double p = 1 / (1 + std::exp(-log_odds));
                const double error = worth * ((one.right ? 1 : 0) - p);
                const double h = worth * p * (1 - p);
                for (std::size_t i = 0; i < kInputs; ++i) {
                    const double x = static_cast<double>(one.inputs[i]);
                    gradient[i] += error * x;
                    for (std::size_t j = 0; j <= i; ++j) {
                        curvature[i][j] += h * x * static_cast<double>(one.inputs[j]);
                    }
                }
            }
        }
        const Vector change = solve(curvature, gradient);
        double most = 0;
        for (std::size_t i = 0; i < kInputs; ++i) {
            weights[i] += change[i];
            most = std::max(most, std::abs(change[i]));
        }
        if (most < 1e-8) break;
    }
    return HitModel(weights);
}

std::vector<LabelledInputs> verdicts_of(const CacheQuestions& data, const NeighbourLists& lists,
                                        const HitModel& model) {
    constexpr std::uint64_t kShuffles = 2;
    constexpr std::uint64_t kFirstSeed = 1000;
    agent_cache::semantic::RiskSettings settings;
    settings.advisory = true;
    std::vector<LabelledInputs> out;
    for (std::uint64_t i = 0; i < kShuffles; ++i) {
        const auto order = shuffled(static_cast<std::uint32_t>(data.texts.size()), kFirstSeed + i);
        (void)play_cache(data, lists, order, model, settings, i, nullptr, &out);
    }
    return out;
}

}  // namespace leeway::lab
