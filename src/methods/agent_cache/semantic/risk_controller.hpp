#pragma once

#include "base/result.hpp"
#include "methods/agent_cache/semantic/hit_model.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace leeway::agent_cache::semantic {

/// What a route promises and how it is watched.
struct RiskSettings {
    double max_error = 0.01;  ///< of the answers served from the cache at most this share is wrong
    double confidence = 0.95;  ///< of the certificate that allows serving
    double audit = 0.05;  ///< share of hits that are verified in the long run; more at first. > 0
    bool advisory = false;  ///< never serve: shadow only (no judge is there)
};

enum class Action : std::uint8_t {
    kMiss = 0,  ///< no candidate: nothing to learn about, keep the fresh answer as a new entry
    kExplore = 1,  ///< call upstream; then compare the fresh answer with the candidate's and record
    kShadow = 2,  ///< as kExplore, but it would have been served had there been enough evidence
    kServe = 3,  ///< answer from the cache
    kServeAndAudit = 4,  ///< answer from the cache, call upstream as well, compare and record
};
[[nodiscard]] std::string_view action_name(Action action) noexcept;

/// What was decided for one request. Given back to `record` with the verdict.
struct Decision {
    Action action = Action::kMiss;
    double probability = 0;  ///< that the kept answer is right, after what this route has learned
    double verify_probability = 0;  ///< with which this request was picked to be verified
    double threshold = 1;  ///< least probability that is served at the moment; > 1: none is
    Inputs inputs{};
    std::uint64_t era = 0;  ///< of the evidence; verdicts of an older one are dropped
    std::uint8_t level = 255;  ///< of the evidence (evidence.hpp)
    bool vetoed =
        false;  ///< the verdict only says whether the answer may be shared, nothing is learned
};

/// How a route's cache stands, for `leeway cache stats` and headers.
struct RiskState {
    enum class Phase : std::uint8_t {
        kGathering = 0,  ///< too little verified so far: shadow ("thin evidence")
        kServing = 1,
        kUncertified = 2,  ///< enough verified, but no threshold meets max_error: shadow
        kStopped =
            3,  ///< served answers were found worse than promised, or drift: shadow until re-armed
        kAdvisory = 4,
    };
    Phase phase = Phase::kGathering;
    double threshold = 1;
    double audit = 1;  ///< probability with which a hit is audited now
    std::uint64_t asked = 0;  ///< decisions with a candidate
    std::uint64_t served = 0;  ///< audited ones included
    std::uint64_t audited = 0;
    std::uint64_t audited_wrong = 0;
    std::uint64_t would_serve = 0;  ///< kShadow
    std::uint64_t verified = 0;  ///< verdicts of this era
    double error_estimate = 0;  ///< share of wrong among served, by inverse probability
    double error_low = 0;  ///< anytime-valid interval at `confidence`
    double error_high = 1;
    double certified_error = 1;  ///< upper limit by which the threshold was certified
    std::uint32_t stops = 0;
    std::string why;  ///< in words, e.g. "thin evidence: 120 of at least 300 verified"
};
[[nodiscard]] std::string_view phase_name(RiskState::Phase phase) noexcept;

/// Decides which candidates are served so that at most `max_error` of the served answers are wrong (by the
/// verdicts' own standard), learns from verdicts only, and stops when the promise does not hold. One per
/// (tenant, route, embedding model, judge): what one route learned says nothing about another. Deterministic given the
/// chances it is told. Thread-safe.
class RiskController {
public:
    RiskController(const HitModel& model, RiskSettings settings);
    ~RiskController();
    RiskController(RiskController&&) noexcept;
    RiskController& operator=(RiskController&&) noexcept;
    RiskController(const RiskController&) = delete;
    RiskController& operator=(const RiskController&) = delete;

    /// `chance`: uniform in [0, 1), unknown to the caller. About a microsecond.
    [[nodiscard]] Decision decide(const Candidate& candidate, double chance);

    /// The verdict on a decision that asked for one (kExplore, kShadow, kServeAndAudit; others are passed over):
    /// whether the kept answer was right for the question asked. A verdict that could not be had (upstream failed,
    /// judge unsure) is simply not recorded. The caller besides lets the entry's record learn, adds the question
    /// to the entry when it was right, and keeps the fresh answer as a new entry when it was wrong.
    void record(const Decision& decision, bool right);

    /// The audit of a served answer came to no verdict. Where that goes on nobody sees whether the promise holds: after
    /// many in a row nothing is served until a verdict comes.
    void missed(const Decision& decision);

    [[nodiscard]] RiskState state() const;
    /// Forgets evidence and stop, so that it begins again in shadow: after a change of what is behind the route.
    void rearm();

    /// All that was learned, as a line of JSON, and back. kConfig: damaged, or of another version: begin anew.
    [[nodiscard]] std::string save() const;
    [[nodiscard]] Result<void> restore(std::string_view saved);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace leeway::agent_cache::semantic
