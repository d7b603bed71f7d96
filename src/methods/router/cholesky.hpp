#pragma once

#include <cstddef>
#include <vector>

namespace leeway::router {

/// A symmetric positive definite matrix, row by row; only its lower half is looked at.
struct Matrix {
    std::size_t size = 0;
    std::vector<double> values;
    [[nodiscard]] double* row(std::size_t i) noexcept { return values.data() + i * size; }
    [[nodiscard]] const double* row(std::size_t i) const noexcept {
        return values.data() + i * size;
    }
};

/// Leaves the lower factor of the Cholesky decomposition in `m`.
void factorise(Matrix& m);

/// Solves for `columns` right-hand sides at once, with a factorised `m`; `x` is size × columns, and holds them before
/// and the answer after.
void solve(const Matrix& m, std::vector<double>& x, std::size_t columns);

}  // namespace leeway::router
