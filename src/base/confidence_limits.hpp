#pragma once

#include <cstdint>

namespace leeway {

/// Regularised incomplete beta function I_x(a, b), a, b > 0, 0 ≤ x ≤ 1 (continued fraction, modified Lentz;
/// about 1e-12).
[[nodiscard]] double incomplete_beta(double a, double b, double x) noexcept;

/// Whether `wrong` of `tried` show, with `confidence`, that the true share is at most `limit` (Clopper and Pearson
/// 1934). Both may be fractions: effective numbers of a weighted sample (Korn and Graubard 1998).
[[nodiscard]] bool shows_at_most(double limit, double wrong, double tried,
                                 double confidence) noexcept;

/// The upper end of that one-sided interval; 1 when nothing was tried.
[[nodiscard]] double upper_limit(double wrong, double tried, double confidence) noexcept;

/// An interval for the mean of numbers in [0, 1] that holds at all times at once, however often one looks
/// (empirical Bernstein with predictable bets: Waudby-Smith and Ramdas 2024, theorem 2). The mean may be
/// that of changing expectations, then it is theirs weighted by the bets.
class MeanInterval {
public:
    struct Sums {
        double count = 0;
        double total = 0;  ///< of the numbers
        double square_error = 0;  ///< of the numbers from the mean before them
        double bets = 0;
        double bet_total = 0;  ///< of bet × number
        double cost = 0;  ///< of v × ψ(bet)
    };
    explicit MeanInterval(double confidence) noexcept : confidence_(confidence) {}
    MeanInterval(double confidence, const Sums& sums) noexcept
        : confidence_(confidence), sums_(sums) {}

    void add(double value) noexcept;
    [[nodiscard]] double mean() const noexcept;
    [[nodiscard]] double low() const noexcept;  ///< ≥ 0
    [[nodiscard]] double high() const noexcept;  ///< ≤ 1
    [[nodiscard]] const Sums& sums() const noexcept { return sums_; }

private:
    [[nodiscard]] double radius() const noexcept;
    double confidence_;
    Sums sums_;
};

}  // namespace leeway
