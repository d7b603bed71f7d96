#pragma once

#include "base/confidence_limits.hpp"
#include "methods/cascade/certificate.hpp"
#include "methods/cascade/watch.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace leeway::cascade {

struct OnlineSettings {
    HarmPromise promise;
    double audit =
        0.1;  ///< share of weak answers taken for which the strong model is asked, too. > 0
    double shadow =
        1;  ///< after a demotion: share of requests for which the weak model is asked, too
    double false_alarm_every =
        50'000;  ///< requests between false alarms of each watch, on average, at least
    /// A cut that takes a smaller share of the weak answers is not served: asking the weak model costs more than it saves.
    double least_accepted = 0;
};

/// What a certificate that it made by itself rests on.
struct SelfCertified {
    Score cut;
    double harm_rate = 0;  ///< of answers taken, at most
    std::vector<Score> scores;  ///< how traffic was spread; not empty
};

/// What to do with one request whose weak answer has a score.
struct OnlineDecision {
    bool weak = false;  ///< the weak answer is the answer
    /// Judge weak against strong: the strong model is asked beside a weak answer that was taken, or the weak one's answer
    /// is at hand beside the strong one's. Tell `record`.
    bool judge = false;
};

/// A certificate in use. It stands while traffic is as it was and audits do not speak against it; then it is demoted (all
/// to the strong model), gathers evidence anew in shadow, and certifies again by bets that hold at all times. A value:
/// one per route and pair of models, with its owner's lock. Deterministic given the chances it is told.
class OnlineCertificate {
public:
    /// `rows`: what the certificate rests on. Not certified: it begins demoted.
    OnlineCertificate(const OnlineSettings& settings, const Certificate& certificate,
                      std::span<const JudgedRow> rows);

    /// `chance`: uniform in [0, 1).
    OnlineDecision decide(const Score& score, double chance);
    /// The verdict on a decision that asked for one. A verdict that could not be had is not recorded.
    void record(const Score& score, const OnlineDecision& decision, bool harm);

    [[nodiscard]] bool serving() const noexcept { return cut_.has_value(); }
    [[nodiscard]] const std::optional<Score>& cut() const noexcept { return cut_; }
    /// Of a cut that it certified by itself and that serves; nullopt: none does.
    [[nodiscard]] const std::optional<SelfCertified>& by_itself() const noexcept { return own_; }
    /// Serves what another one had certified by itself.
    void resume(SelfCertified certified);
    /// Ends its service, if it serves, and begins to gather evidence anew.
    void demote(std::string why);
    /// Why it was demoted last; empty: never.
    [[nodiscard]] const std::string& why() const noexcept { return why_; }
    [[nodiscard]] std::uint32_t demotions() const noexcept { return demotions_; }

private:
    void serve(const Score& cut, std::span<const Score> reference, double harm_rate);
    void gather(const Score& score, bool harm);
    /// Lower limit of the harm per request since it serves, at all times at once at the promise's confidence.
    [[nodiscard]] double harm_low() const noexcept { return harm_.low() / settings_.audit; }

    OnlineSettings settings_;
    std::optional<Score> cut_;
    std::optional<ScoreWatch> traffic_;  // while it serves
    std::optional<RateWatch> audits_;  // likewise: harm among audited answers
    MeanInterval harm_;  // of "audited and harmed" per request: audit × harm
    // Since the last demotion:
    std::vector<Score> gathered_;  // bounded: the last ones
    std::size_t oldest_ = 0;  // of these, where they are as many as are kept
    std::optional<AnytimeWalk> walk_;
    std::optional<SelfCertified> own_;  // is what serves
    std::string why_;
    std::uint32_t demotions_ = 0;
};

}  // namespace leeway::cascade
