#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace leeway::agent_cache::semantic {

/// What verdicts say about each level of probability, and the threshold that follows. Levels are steps of the
/// log-odds that were told when the request was decided, before its verdict.
class Evidence {
public:
    static constexpr std::size_t kLevels = 72;
    static constexpr double kLowest = -1;  ///< log-odds; what lies below is never served
    static constexpr double kStep = 0.125;

    struct Level {
        double asked = 0;  ///< candidates of this level
        double verified = 0;  ///< of these, those with a verdict
        double wrong = 0;
    };

    /// The level of a probability's log-odds; kLevels: below all.
    [[nodiscard]] static std::size_t level_of(double log_odds) noexcept;
    /// The least log-odds of a level.
    [[nodiscard]] static double least_of(std::size_t level) noexcept;

    void ask(std::size_t level) noexcept { levels_[level].asked += 1; }
    void verify(std::size_t level, bool right) noexcept {
        levels_[level].verified += 1;
        levels_[level].wrong += right ? 0 : 1;
    }

    struct Certificate {
        std::size_t level = kLevels;  ///< serve from this one up; kLevels: none
        double error = 1;  ///< share of wrong answers from there up, estimated
        double limit = 1;  ///< and its upper confidence limit
        double verified = 0;  ///< effective number of verdicts behind it, or behind the last try
    };
    /// Learn-then-Test (Angelopoulos et al. 2021): a fixed sequence of thresholds from high to low, each tested by
    /// Clopper–Pearson for "more than `max_error` of what would be served is wrong", until one fails. It begins where
    /// `least_verified` verdicts lie above, which does not depend on how they turned out. Levels weigh by what
    /// was asked, not by what was verified (post-stratification: hits are verified less often than misses); the
    /// test is made at the effective sample size of such a sample (Korn and Graubard 1998).
    [[nodiscard]] Certificate certify(double max_error, double confidence) const noexcept;
    /// Effective verdicts that a first threshold needs.
    [[nodiscard]] static double least_verified(double max_error, double confidence) noexcept;

    [[nodiscard]] const std::array<Level, kLevels>& levels() const noexcept { return levels_; }
    [[nodiscard]] std::array<Level, kLevels>& levels() noexcept { return levels_; }

private:
    std::array<Level, kLevels> levels_{};
};

}  // namespace leeway::agent_cache::semantic
