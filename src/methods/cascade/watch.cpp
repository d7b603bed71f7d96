#include "methods/cascade/watch.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::cascade {
namespace {

constexpr std::array kOddsRatios{1.5, 2.5, 5.0};
constexpr double kLeastRate = 1e-4;
constexpr std::array kQuantiles{0.1, 0.25, 0.5, 0.75, 0.9};
// The reference shares are themselves estimates; so many standard errors are allowed for.
constexpr double kReferenceErrors = 2.5;
// Shares of what can be bet: all would be lost with the first harm.
constexpr std::array kBetSizes{0.1, 0.25, 0.5, 0.8};

}  // namespace

RateWatch::RateWatch(double rate, double every) noexcept {
    const double p = std::clamp(rate, kLeastRate, 1 - kLeastRate);
    for (std::size_t i = 0; i < kOddsRatios.size(); ++i) {
        const double odds = kOddsRatios[i] * p / (1 - p);
        const double q = odds / (1 + odds);
        alternatives_[i] = {std::log(q / p), std::log((1 - q) / (1 - p)), 0};
    }
    limit_ = std::log(every * static_cast<double>(kOddsRatios.size()));
}

bool RateWatch::add(bool happened) noexcept {
    for (Alternative& one : alternatives_) {
        one.sum = std::max(0.0, one.sum + (happened ? one.on_yes : one.on_no));
        alarmed_ = alarmed_ || one.sum >= limit_;
    }
    return alarmed_;
}

ScoreWatch::ScoreWatch(std::span<const Score> reference, const Score& cut, double every) {
    std::vector<Score> sorted(reference.begin(), reference.end());
    std::sort(sorted.begin(), sorted.end());
    std::vector<Score> from{cut};
    for (const double quantile : kQuantiles) {
        const auto place = static_cast<std::size_t>(quantile * static_cast<double>(sorted.size()));
        from.push_back(sorted[std::min(place, sorted.size() - 1)]);
    }
    const double each = every * 2 * static_cast<double>(from.size());
    const auto n = static_cast<double>(sorted.size());
    for (const Score& score : from) {
        const auto at = std::lower_bound(sorted.begin(), sorted.end(), score);
        const double share = static_cast<double>(sorted.end() - at) / n;
        // A share of 0 or 1 of the reference is no share of 0 or 1 of the traffic.
        const double smooth = (share * n + 0.5) / (n + 1);
        const double error = kReferenceErrors * std::sqrt(smooth * (1 - smooth) / n);
        shares_.push_back(
            {score, RateWatch(smooth + error, each), RateWatch(1 - smooth + error, each)});
    }
}

bool ScoreWatch::add(const Score& score) noexcept {
    bool alarmed = false;
    for (Share& share : shares_) {
        const bool is_above = score >= share.from;
        const bool up = share.above.add(is_above);
        const bool down = share.below.add(!is_above);
        alarmed = alarmed || up || down;
    }
    return alarmed;
}

AnytimeWalk::AnytimeWalk(std::span<const Score> cuts, const HarmPromise& promise)
    : promise_(promise) {
    for (const Score& cut : cuts) levels_.push_back({cut, {}, false});
}

void AnytimeWalk::add(const Score& score, bool harm) noexcept {
    for (Level& level : levels_) {
        const bool harmed = harm && score >= level.cut;
        for (std::size_t i = 0; i < kBets; ++i) {
            // 1 + b (max_harm - x) with b up to 1 / (1 - max_harm), where a harm would take all
            const double bet = kBetSizes[i] / (1 - promise_.max_harm);
            level.wealth[i] += std::log1p(bet * (promise_.max_harm - (harmed ? 1 : 0)));
        }
    }
    const double needed = -std::log1p(-promise_.confidence);
    for (Level& level : levels_) {
        level.certified = level.certified || wealth(level) >= needed;
        if (!level.certified) break;
    }
}

double AnytimeWalk::wealth(const Level& level) const noexcept {
    const double most = *std::max_element(level.wealth.begin(), level.wealth.end());
    double sum = 0;
    for (const double one : level.wealth) sum += std::exp(one - most);
    return most + std::log(sum / static_cast<double>(kBets));
}

std::optional<Score> AnytimeWalk::cut() const noexcept {
    std::optional<Score> out;
    for (const Level& level : levels_) {
        if (!level.certified) break;
        out = level.cut;
    }
    return out;
}

std::vector<Score> spread_scores(std::vector<Score> scores) {
    std::sort(scores.begin(), scores.end());
    if (scores.size() <= kMostScores) return scores;
    std::vector<Score> out;
    out.reserve(kMostScores);
    for (std::size_t i = 0; i < kMostScores; ++i)
        out.push_back(scores[(2 * i + 1) * scores.size() / (2 * kMostScores)]);
    return out;
}

}  // namespace leeway::cascade
