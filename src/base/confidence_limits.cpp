#include "base/confidence_limits.hpp"

#include <algorithm>
#include <cmath>

namespace leeway {
namespace {

/// The continued fraction of the incomplete beta function; converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) noexcept {
    constexpr int kMostSteps = 500;
    constexpr double kTiny = 1e-300;
    constexpr double kEnough = 1e-13;
    const auto bounded = [](double v) {
        return std::abs(v) < kTiny ? kTiny : v;
    };
    double c = 1;
    double d = 1 / bounded(1 - (a + b) * x / (a + 1));
    double h = d;
    for (int m = 1; m <= kMostSteps; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / bounded(1 + even * d);
        c = bounded(1 + even / c);
        h *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / bounded(1 + odd * d);
        c = bounded(1 + odd / c);
        const double step = d * c;
        h *= step;
        if (std::abs(step - 1) < kEnough) break;
    }
    return h;
}

/// lgamma of the C library writes a global sign; this one does not (Stirling's series after shifting up).
double log_gamma(double x) noexcept {
    double shift = 0;
    while (x < 8) shift -= std::log(x), x += 1;
    const double r = 1 / (x * x);
    constexpr double kHalfLogTwoPi = 0.91893853320467274178;
    return shift + (x - 0.5) * std::log(x) - x + kHalfLogTwoPi +
           (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / x;
}

}  // namespace

double incomplete_beta(double a, double b, double x) noexcept {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front = std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) +
                                  b * std::log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

bool shows_at_most(double limit, double wrong, double tried, double confidence) noexcept {
    if (tried <= 0 || wrong >= tried) return limit >= 1;
    return incomplete_beta(wrong + 1, tried - wrong, limit) >= confidence;
}

double upper_limit(double wrong, double tried, double confidence) noexcept {
    if (tried <= 0 || wrong >= tried) return 1;
    double low = wrong / tried;
    double high = 1;
    constexpr int kHalvings = 40;
    for (int i = 0; i < kHalvings; ++i) {
        const double middle = (low + high) / 2;
        (shows_at_most(middle, wrong, tried, confidence) ? high : low) = middle;
    }
    return high;
}

void MeanInterval::add(double value) noexcept {
    constexpr double kLargestBet = 0.5;
    const double before = (0.5 + sums_.total) / (1 + sums_.count);
    const double variance = (0.25 + sums_.square_error) / (1 + sums_.count);
    sums_.count += 1;
    const double level = std::log(2 / (1 - confidence_));
    const double bet = std::min(
        kLargestBet, std::sqrt(2 * level / (variance * sums_.count * std::log1p(sums_.count))));
    const double error = value - before;
    sums_.total += value;
    const double after = (0.5 + sums_.total) / (1 + sums_.count);
    sums_.square_error += (value - after) * (value - after);
    sums_.bets += bet;
    sums_.bet_total += bet * value;
    // v = 4 (x − mean before)², ψ(λ) = (−log(1 − λ) − λ) / 4
    sums_.cost += error * error * (-std::log1p(-bet) - bet);
}

double MeanInterval::radius() const noexcept {
    return sums_.bets > 0 ? (std::log(2 / (1 - confidence_)) + sums_.cost) / sums_.bets : 1;
}
double MeanInterval::mean() const noexcept {
    return sums_.count > 0 ? sums_.total / sums_.count : 0;
}
double MeanInterval::low() const noexcept {
    return sums_.bets > 0 ? std::max(0.0, sums_.bet_total / sums_.bets - radius()) : 0;
}
double MeanInterval::high() const noexcept {
    return sums_.bets > 0 ? std::min(1.0, sums_.bet_total / sums_.bets + radius()) : 1;
}

}  // namespace leeway
