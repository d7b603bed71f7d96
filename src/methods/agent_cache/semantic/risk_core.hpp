#pragma once

#include "base/confidence_limits.hpp"
#include "methods/agent_cache/semantic/evidence.hpp"
#include "methods/agent_cache/semantic/risk_controller.hpp"
#include "methods/agent_cache/semantic/route_learner.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::agent_cache::semantic {

/// What RiskController guards with its lock. Not thread-safe.
class RiskCore {
public:
    RiskCore(const HitModel& model, RiskSettings settings);

    [[nodiscard]] Decision decide(const Candidate& candidate, double chance);
    void record(const Decision& decision, bool right);
    void missed(const Decision& decision);
    [[nodiscard]] RiskState state() const;
    /// Evidence and interval from nothing; the weights stay, less sure. `why` is told until there is enough
    /// again, and counts as a stop unless it is empty.
    void begin_again(std::string why);
    [[nodiscard]] std::string save() const;
    [[nodiscard]] Result<void> restore(std::string_view saved);

private:
    /// All that changes, so that a restore takes all or nothing.
    struct Learned {
        std::uint64_t era = 1;
        std::uint64_t served_of_era = 0;
        std::uint64_t verified_of_era = 0;
        std::uint64_t asked = 0;
        std::uint64_t served = 0;
        std::uint64_t audited = 0;
        std::uint64_t audited_wrong = 0;
        std::uint64_t would_serve = 0;
        std::uint64_t stops = 0;
        double surprise = 0;  ///< Page–Hinkley: the sum,
        double least_surprise = 0;  ///< and its least value so far
        Evidence evidence;
        std::string stopped_why;
    };

    /// Probability with which a hit of this probability is audited.
    [[nodiscard]] double audit_rate(double probability) const noexcept;
    [[nodiscard]] double least_audit() const noexcept;
    void certify();
    [[nodiscard]] bool serving() const noexcept { return level_ < Evidence::kLevels; }
    [[nodiscard]] bool unwatched() const noexcept;
    [[nodiscard]] double threshold() const noexcept;

    RiskSettings settings_;
    RouteLearner learner_;
    Learned learned_;
    MeanInterval served_error_;  // of wrong / (audit probability) × least audit probability
    Evidence::Certificate certificate_;
    std::size_t level_ = Evidence::kLevels;  // served from here up
    std::uint32_t unseen_ = 0;  // verdicts since the last certificate
    std::uint32_t missed_ = 0;  // audits that came to no verdict, since the last that did
    std::size_t raised_ = 0;  // levels that the threshold stands above the certificate's
    bool proven_ = false;  // the interval has been within the promise since it was last raised
};

}  // namespace leeway::agent_cache::semantic
