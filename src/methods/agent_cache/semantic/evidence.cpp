#include "methods/agent_cache/semantic/evidence.hpp"

#include "base/confidence_limits.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::agent_cache::semantic {
namespace {

/// What lies from some level up.
struct Above {
    double asked = 0;
    double verified = 0;
    double wrong = 0;     ///< expected among those asked
    double variance = 0;  ///< of that number, from which of them were verified
    double unverified =
        0;  ///< asked at levels without a verdict; they go with the next level below

    void take(const Evidence::Level& level, double told_wrong) noexcept {
        unverified += level.asked;
        if (level.verified <= 0) return;
        // The probability itself counts as one verdict, so that a level without an error is not taken for one
        // without risk.
        const double rate = (level.wrong + told_wrong) / (level.verified + 1);
        asked += unverified;
        verified += level.verified;
        wrong += unverified * rate;
        variance += unverified * unverified * rate * (1 - rate) / level.verified;
        unverified = 0;
    }
    [[nodiscard]] double rate() const noexcept { return asked > 0 ? wrong / asked : 0; }
    /// Verdicts of a plain sample that would tell as much (Korn and Graubard), never more than there are.
    [[nodiscard]] double effective() const noexcept {
        if (variance <= 0) return verified;
        return std::min(verified, rate() * (1 - rate()) * asked * asked / variance);
    }
};

}  // namespace

std::size_t Evidence::level_of(double log_odds) noexcept {
    if (!(log_odds >= kLowest)) return kLevels;
    return std::min(kLevels - 1, static_cast<std::size_t>((log_odds - kLowest) / kStep));
}

double Evidence::least_of(std::size_t level) noexcept {
    return kLowest + kStep * static_cast<double>(level);
}

double Evidence::least_verified(double max_error, double confidence) noexcept {
    // Twice what a sample without an error needs: with the least of all, one error would end the walk for long.
    return 2 * std::log(1 - confidence) / std::log1p(-max_error);
}

Evidence::Certificate Evidence::certify(double max_error, double confidence) const noexcept {
    const double least = least_verified(max_error, confidence);
    Certificate out;
    Above above;
    for (std::size_t level = kLevels; level-- > 0;) {
        above.take(levels_[level], 1 / (1 + std::exp(least_of(level) + kStep / 2)));
        if (above.unverified > 0 || levels_[level].verified <= 0) continue;
        const double tried = above.effective();
        if (tried < least) {
            out.verified = tried;
            continue;
        }
        if (!shows_at_most(max_error, above.rate() * tried, tried, confidence)) {
            out.verified = std::max(out.verified, tried);
            break;
        }
        out = {level, above.rate(), 0, tried};
    }
    if (out.level < kLevels)
        out.limit = upper_limit(out.error * out.verified, out.verified, confidence);
    return out;
}

}  // namespace leeway::agent_cache::semantic
