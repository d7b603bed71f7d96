#include "methods/cascade/confidence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace leeway::cascade {
namespace {

constexpr double kLeastDoubt = 1e-7;
constexpr double kSpreadFloor = 1e-9;
// Of the prior, as what so many rows would say: the offset is all but free, the slope is drawn to 0 by a few rows, and a
// cluster's to the pool's by some more. Its level is not: tasks differ in how hard they are, and a level that is drawn
// away from what was counted costs more than the few labels can win back (measured with 50).
constexpr double kOffsetWeight = 0.01;
constexpr double kSlopeWeight = 1;
constexpr double kPoolWeight = 10;
constexpr int kMostSteps = 25;
constexpr double kEnough = 1e-6;
constexpr double kLargestStep = 4;

double logistic(double x) noexcept { return 1 / (1 + std::exp(-x)); }

struct Penalty {
    double offset = 0;  // drawn to
    double slope = 0;
    double offset_weight = kOffsetWeight;
    double slope_weight = kSlopeWeight;
};

/// `out` has centre and scale, and where to begin.
void newton(std::span<const double> confidence, std::span<const double> quality,
            const Penalty& penalty, Platt& out) {
    for (int step = 0; step < kMostSteps; ++step) {
        double g0 = -penalty.offset_weight * (out.offset - penalty.offset);
        double g1 = -penalty.slope_weight * (out.slope - penalty.slope);
        double h00 = penalty.offset_weight;
        double h01 = 0;
        double h11 = penalty.slope_weight;
        for (std::size_t i = 0; i < confidence.size(); ++i) {
            const double z = (confidence[i] - out.centre) / out.scale;
            const double p = logistic(out.offset + out.slope * z);
            const double error = quality[i] - p;
            const double weight = p * (1 - p);
            g0 += error;
            g1 += error * z;
            h00 += weight;
            h01 += weight * z;
            h11 += weight * z * z;
        }
        const double determinant = h00 * h11 - h01 * h01;
        if (!(determinant > 0)) return;
        const double d0 =
            std::clamp((h11 * g0 - h01 * g1) / determinant, -kLargestStep, kLargestStep);
        const double d1 =
            std::clamp((h00 * g1 - h01 * g0) / determinant, -kLargestStep, kLargestStep);
        out.offset += d0;
        out.slope += d1;
        if (std::abs(d0) < kEnough && std::abs(d1) < kEnough) return;
    }
}

Platt standardised(std::span<const double> confidence) {
    Platt out;
    if (confidence.empty()) return out;
    const auto n = static_cast<double>(confidence.size());
    out.centre = std::accumulate(confidence.begin(), confidence.end(), 0.0) / n;
    double squares = 0;
    for (const double x : confidence) squares += (x - out.centre) * (x - out.centre);
    const double spread = std::sqrt(squares / n);
    out.scale = spread > kSpreadFloor ? spread : 1;
    return out;
}

}  // namespace

double confidence_of(double mean_logprob) noexcept {
    if (!(mean_logprob > -std::numeric_limits<double>::infinity())) return 0;  // NaN, too
    return -std::log(std::clamp(-std::expm1(std::min(mean_logprob, 0.0)), kLeastDoubt, 1.0));
}

double probability_of(double confidence) noexcept { return 1 - std::exp(-confidence); }

double Platt::probability(double confidence) const noexcept {
    return logistic(offset + slope * (confidence - centre) / scale);
}

Platt fit_platt(std::span<const double> confidence, std::span<const double> quality) {
    Platt out = standardised(confidence);
    newton(confidence, quality, {}, out);
    return out;
}

Platt fit_platt_towards(const Platt& pool, std::span<const double> confidence,
                        std::span<const double> quality) {
    // A row says at most a quarter (p (1 - p)) of what a unit of weight does.
    const Penalty to_pool{pool.offset, pool.slope, kOffsetWeight, kPoolWeight / 4};
    Platt out = pool;
    newton(confidence, quality, to_pool, out);
    return out;
}

Isotonic Isotonic::fit(std::span<const double> confidence, std::span<const double> quality) {
    std::vector<std::size_t> order(confidence.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return confidence[a] < confidence[b]; });
    struct Block {
        double rows;
        double confidence;  // sums
        double quality;
        double last;  // largest confidence
    };
    std::vector<Block> blocks;
    for (const std::size_t i : order) {
        if (!blocks.empty() && blocks.back().last == confidence[i]) {
            blocks.back().rows += 1;
            blocks.back().confidence += confidence[i];
            blocks.back().quality += quality[i];
        } else {
            blocks.push_back({1, confidence[i], quality[i], confidence[i]});
        }
    }
    std::vector<Block> pooled;
    for (const Block& block : blocks) {
        pooled.push_back(block);
        while (pooled.size() > 1) {
            const Block& above = pooled.back();
            Block& below = pooled[pooled.size() - 2];
            if (below.quality * above.rows < above.quality * below.rows) break;
            below.rows += above.rows;
            below.confidence += above.confidence;
            below.quality += above.quality;
            below.last = above.last;
            pooled.pop_back();
        }
    }
    Isotonic out;
    for (const Block& block : pooled)
        out.steps_.push_back({block.confidence / block.rows, block.quality / block.rows});
    return out;
}

double Isotonic::probability(double confidence) const noexcept {
    if (steps_.empty()) return 0.5;
    const auto above =
        std::upper_bound(steps_.begin(), steps_.end(), confidence,
                         [](double x, const Step& step) { return x < step.confidence; });
    if (above == steps_.begin()) return steps_.front().value;
    if (above == steps_.end()) return steps_.back().value;
    const Step& low = *(above - 1);
    const double part = (confidence - low.confidence) / (above->confidence - low.confidence);
    return low.value + part * (above->value - low.value);
}

}  // namespace leeway::cascade
