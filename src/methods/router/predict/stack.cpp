#include "methods/router/predict/stack.hpp"

#include "methods/router/cholesky.hpp"

#include <limits>
#include <vector>

namespace leeway::router {
namespace {

// As if so many values had been predicted best with equal weights.
constexpr double kPrior = 100;

double mean(std::span<const float> of) {
    double sum = 0;
    for (const float x : of) sum += static_cast<double>(x);
    return of.empty() ? 0 : sum / static_cast<double>(of.size());
}

}  // namespace

void Stacker::add(const std::array<std::span<const float>, kWays>& ways,
                  std::span<const float> truth) {
    // With one model there is no difference: then its own value is what is fitted.
    const bool differences = truth.size() > 1;
    std::array<double, kWays> means{};
    for (std::size_t w = 0; w < kWays; ++w) means[w] = differences ? mean(ways[w]) : 0;
    const double true_mean = differences ? mean(truth) : 0;
    for (std::size_t m = 0; m < truth.size(); ++m) {
        std::array<double, kWays> x{};
        for (std::size_t w = 0; w < kWays; ++w) x[w] = static_cast<double>(ways[w][m]) - means[w];
        for (std::size_t a = 0; a < kWays; ++a) {
            cross_[a] += x[a] * (static_cast<double>(truth[m]) - true_mean);
            for (std::size_t b = 0; b < kWays; ++b) products_[a][b] += x[a] * x[b];
        }
        values_ += 1;
    }
}

StackWeights Stacker::weights() const {
    StackWeights best{};
    best.fill(1.0F / kWays);
    if (values_ <= 0) return best;
    auto products = products_;
    auto cross = cross_;
    double scale = 0;
    for (std::size_t a = 0; a < kWays; ++a) scale += products_[a][a] / kWays;
    if (scale <= 0) return best;
    scale *= kPrior / values_;
    for (std::size_t a = 0; a < kWays; ++a) {
        products[a][a] += scale;
        cross[a] += scale / kWays;
    }
    // With three ways every set of those that count can be tried; the best without a negative weight wins.
    double least = std::numeric_limits<double>::infinity();
    for (unsigned set = 1; set < 1U << kWays; ++set) {
        std::vector<std::size_t> in;
        for (std::size_t a = 0; a < kWays; ++a)
            if ((set >> a & 1U) != 0) in.push_back(a);
        Matrix m{in.size(), std::vector<double>(in.size() * in.size())};
        std::vector<double> x(in.size());
        for (std::size_t i = 0; i < in.size(); ++i) {
            x[i] = cross[in[i]];
            for (std::size_t j = 0; j < in.size(); ++j) m.row(i)[j] = products[in[i]][in[j]];
        }
        factorise(m);
        solve(m, x, 1);
        double loss = 0;
        bool allowed = true;
        for (std::size_t i = 0; i < in.size(); ++i) {
            allowed = allowed && x[i] >= 0;
            loss -= x[i] * cross[in[i]];  // at the optimum: xᵀAx − 2xᵀb = −xᵀb
        }
        if (!allowed || loss >= least) continue;
        least = loss;
        best.fill(0);
        for (std::size_t i = 0; i < in.size(); ++i) best[in[i]] = static_cast<float>(x[i]);
    }
    return best;
}

}  // namespace leeway::router
