#pragma once

#include "methods/cascade/certificate.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace leeway::cascade {

/// Notices that something happens more often than it did: CUSUMs of likelihood ratios against rates of 1.5, 2.5 and 5
/// times the odds. Each ratio is an e-value while the rate is at most `rate`, so false alarms are at least `every`
/// observations apart on average (Lorden 1971; e-detectors: Shin, Ramdas and Rinaldo 2024).
class RateWatch {
public:
    /// `rate`: 0 … 1, cut to where an alarm is possible.
    RateWatch(double rate, double every) noexcept;
    /// Returns whether the alarm is up; it stays up.
    bool add(bool happened) noexcept;

private:
    struct Alternative {
        double on_yes = 0;  // log likelihood ratio
        double on_no = 0;
        double sum = 0;
    };
    std::array<Alternative, 3> alternatives_{};
    double limit_ = 0;
    bool alarmed_ = false;
};

/// The most scores that are kept to watch by: more tell no more of how they are spread.
inline constexpr std::size_t kMostScores = 1000;
/// So many of them, evenly spread, where there are more. Sorted.
[[nodiscard]] std::vector<Score> spread_scores(std::vector<Score> scores);

/// Whether scores are still spread as they were: the shares above some quantiles, each watched in both directions. It
/// needs no judgement of answers, so it sees a change of traffic within some dozens of requests.
class ScoreWatch {
public:
    /// `reference`: scores of the rows that a certificate rests on; not empty. `cut`: watched besides the quantiles.
    ScoreWatch(std::span<const Score> reference, const Score& cut, double every);
    /// Returns whether the alarm is up; it stays up.
    bool add(const Score& score) noexcept;

private:
    struct Share {
        Score from;
        RateWatch above;
        RateWatch below;
    };
    std::vector<Share> shares_;
};

/// Certifies cuts from judged requests one by one, at all times at once: for each cut of a fixed sequence, from strict to
/// lax, a product of bets against "harm is more than promised", averaged over sizes of the bet, which is above 1/δ with
/// a chance of at most δ if that is true (Ville 1939; Waudby-Smith and Ramdas 2024). One may look after every row and stop
/// or go on as one likes; the cuts must not depend on the rows that are added.
class AnytimeWalk {
public:
    /// `cuts`: from strict to lax.
    AnytimeWalk(std::span<const Score> cuts, const HarmPromise& promise);
    void add(const Score& score, bool harm) noexcept;
    /// The laxest cut that is certified, with all stricter ones; nullopt: none.
    [[nodiscard]] std::optional<Score> cut() const noexcept;

private:
    static constexpr std::size_t kBets = 4;
    struct Level {
        Score cut;
        std::array<double, kBets> wealth{};  // logarithms
        bool certified = false;
    };
    [[nodiscard]] double wealth(const Level& level) const noexcept;

    HarmPromise promise_;
    std::vector<Level> levels_;
};

}  // namespace leeway::cascade
