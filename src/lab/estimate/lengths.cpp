#include "lab/estimate/lengths.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace leeway::lab {
namespace {

constexpr Prior kPriors[] = {
#include "lab/estimate/output_priors.inc"
};

int size_class(std::int64_t input) noexcept {
    return static_cast<int>(
        std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(input, 0))));
}

double relative_error_of_mean(const std::vector<std::int64_t>& values) {
    double sum = 0;
    double squares = 0;
    for (const std::int64_t value : values) sum += static_cast<double>(value);
    const auto n = static_cast<double>(values.size());
    const double mean = sum / n;
    if (values.size() < 2 || mean <= 0) return 0;
    for (const std::int64_t value : values) {
        const double off = static_cast<double>(value) - mean;
        squares += off * off;
    }
    return std::sqrt(squares / (n - 1) / n) / mean;
}

double polynomial(std::span<const double> coefficients, double x) noexcept {
    double out = 0;
    for (const double c : coefficients) out = out * x + c;
    return out;
}

}  // namespace

std::span<const Prior> priors() noexcept { return kPriors; }

const Prior* find_prior(std::string_view kind) noexcept {
    const auto* it = std::find_if(std::begin(kPriors), std::end(kPriors),
                                  [&](const Prior& prior) { return prior.kind == kind; });
    return it == std::end(kPriors) ? nullptr : it;
}

double normal_quantile(double share) noexcept {
    static constexpr std::array<double, 6> kA{-3.969683028665376e+01, 2.209460984245205e+02,
                                              -2.759285104469687e+02, 1.383577518672690e+02,
                                              -3.066479806614716e+01, 2.506628277459239e+00};
    static constexpr std::array<double, 6> kB{-5.447609879822406e+01, 1.615858368580409e+02,
                                              -1.556989798598866e+02, 6.680131188771972e+01,
                                              -1.328068155288572e+01, 1.0};
    static constexpr std::array<double, 6> kC{-7.784894002430293e-03, -3.223964580411365e-01,
                                              -2.400758277161838e+00, -2.549732539343734e+00,
                                              4.374664141464968e+00,  2.938163982698783e+00};
    static constexpr std::array<double, 5> kD{7.784695709041462e-03, 3.224671290700398e-01,
                                              2.445134137142996e+00, 3.754408661907416e+00, 1.0};
    constexpr double kTail = 0.02425;
    if (share < kTail) {
        const double q = std::sqrt(-2 * std::log(share));
        return polynomial(kC, q) / polynomial(kD, q);
    }
    if (share > 1 - kTail) return -normal_quantile(1 - share);  // NOLINT(misc-no-recursion)
    const double q = share - 0.5;
    const double r = q * q;
    return polynomial(kA, r) * q / polynomial(kB, r);
}

Lengths Lengths::constant(std::int64_t tokens) {
    Lengths out;
    out.all_.push_back(std::max<std::int64_t>(tokens, 0));
    return out;
}

Lengths Lengths::of(const Prior& prior) {
    Lengths out;
    for (const std::int64_t ratio : prior.shape_permille) {
        out.all_.push_back((prior.median * ratio + 500) / 1000);
    }
    out.level_spread_ = static_cast<double>(prior.level_permille) / 1000;
    return out;
}

Lengths Lengths::between(std::int64_t p50, std::int64_t p90) {
    constexpr double kP90 = 1.2815515655446004;  // standard deviations
    Lengths out;
    const double spread = std::log(static_cast<double>(p90) / static_cast<double>(p50)) / kP90;
    constexpr int kSteps = 200;
    for (int i = 0; i <= kSteps; ++i) {
        // The ends stand for half a step.
        const double share = std::clamp(static_cast<double>(i), 0.5, kSteps - 0.5) / kSteps;
        const double z = normal_quantile(share);
        out.all_.push_back(std::llround(static_cast<double>(p50) * std::exp(spread * z)));
    }
    return out;
}

Lengths Lengths::fitted(std::span<const Observed> rows) {
    Lengths out;
    std::map<int, std::vector<std::int64_t>> by_size;
    for (const Observed& row : rows) {
        const std::int64_t length = std::max<std::int64_t>(row.output, 0);
        out.all_.push_back(length);
        by_size[size_class(row.input)].push_back(length);
    }
    std::sort(out.all_.begin(), out.all_.end());
    for (auto& [size, lengths] : by_size) {
        if (lengths.size() < kLeastOfSize) continue;
        std::sort(lengths.begin(), lengths.end());
        out.by_size_.emplace(size, std::move(lengths));
    }
    out.level_spread_ = relative_error_of_mean(out.all_);
    return out;
}

const std::vector<std::int64_t>& Lengths::shape_for(std::int64_t input) const {
    const auto it = by_size_.find(size_class(input));
    return it == by_size_.end() ? all_ : it->second;
}

std::int64_t Lengths::at(std::int64_t input, double share, double level) const {
    const auto& shape = shape_for(input);
    const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(shape.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, shape.size() - 1);
    double value =
        static_cast<double>(shape[below]) +
        (place - static_cast<double>(below)) * static_cast<double>(shape[above] - shape[below]);
    if (level_spread_ > 0 && level != 0) value *= std::exp(level_spread_ * level);
    return std::llround(value);
}

std::int64_t Lengths::bound(std::int64_t input, double share) const {
    const auto& shape = shape_for(input);
    const double rank = share * static_cast<double>(shape.size() + 1);
    const double whole = share < 0.5 ? std::floor(rank) : std::ceil(rank);
    const auto place = static_cast<std::int64_t>(whole) - 1;
    const auto last = static_cast<std::int64_t>(shape.size()) - 1;
    return shape[static_cast<std::size_t>(std::clamp<std::int64_t>(place, 0, last))];
}

}  // namespace leeway::lab
