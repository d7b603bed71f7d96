#include "methods/router/cholesky.hpp"

#include <cmath>

namespace leeway::router {
namespace {

/// Four sums side by side, so that one need not wait for the other.
double product(const double* a, const double* b, std::size_t n) noexcept {
    double sums[4] = {0, 0, 0, 0};
    std::size_t k = 0;
    for (; k + 4 <= n; k += 4)
        for (std::size_t i = 0; i < 4; ++i) sums[i] += a[k + i] * b[k + i];
    for (; k < n; ++k) sums[0] += a[k] * b[k];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

void factorise(Matrix& m) {
    for (std::size_t i = 0; i < m.size; ++i) {
        double* const ri = m.row(i);
        for (std::size_t j = 0; j <= i; ++j) {
            const double* const rj = m.row(j);
            const double sum = ri[j] - product(ri, rj, j);
            ri[j] = i == j ? std::sqrt(sum) : sum / rj[j];
        }
    }
}

void solve(const Matrix& m, std::vector<double>& x, std::size_t columns) {
    const auto at = [&](std::size_t i) {
        return x.data() + i * columns;
    };
    const auto take = [columns](double* to, const double* from, double factor) {
        for (std::size_t c = 0; c < columns; ++c) to[c] -= factor * from[c];
    };
    const auto divide = [columns](double* to, double by) {
        for (std::size_t c = 0; c < columns; ++c) to[c] /= by;
    };
    for (std::size_t i = 0; i < m.size; ++i) {
        for (std::size_t k = 0; k < i; ++k) take(at(i), at(k), m.row(i)[k]);
        divide(at(i), m.row(i)[i]);
    }
    for (std::size_t i = m.size; i-- > 0;) {
        for (std::size_t k = i + 1; k < m.size; ++k) take(at(i), at(k), m.row(k)[i]);
        divide(at(i), m.row(i)[i]);
    }
}

}  // namespace leeway::router
