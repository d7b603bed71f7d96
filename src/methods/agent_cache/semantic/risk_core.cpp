#include "methods/agent_cache/semantic/risk_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace leeway::agent_cache::semantic {
namespace {

constexpr std::uint32_t kCertifyEvery = 32;  // verdicts
// Audits begin at kFirstAudit and fall with the root of what was served.
constexpr double kFirstAudit = 0.3;
constexpr double kAuditScale = 300;
// Page–Hinkley on (expected − right): surprises smaller than kSlack on average are no drift.
constexpr double kSlack = 0.02;
constexpr double kAlarm = 20;
constexpr std::size_t kRaise = 4;  // levels
constexpr std::uint32_t kMostMissed = 64;  // audits in a row

double probability_of(double log_odds) noexcept { return 1 / (1 + std::exp(-log_odds)); }

}  // namespace

RiskCore::RiskCore(const HitModel& model, RiskSettings settings)
    : settings_(settings), learner_(model.weights()), served_error_(settings.confidence) {
    settings_.audit = std::clamp(settings_.audit, 0.001, 1.0);
    settings_.max_error = std::clamp(settings_.max_error, 1e-6, 1.0);
    settings_.confidence = std::clamp(settings_.confidence, 0.5, 0.9999);
}

double RiskCore::threshold() const noexcept {
    return serving() ? probability_of(Evidence::least_of(level_)) : 2;
}

double RiskCore::least_audit() const noexcept { return settings_.audit / 2; }

double RiskCore::audit_rate(double probability) const noexcept {
    const double falling =
        kFirstAudit *
        std::sqrt(kAuditScale / (kAuditScale + static_cast<double>(learned_.served_of_era)));
    // Where verdicts tell most: in proportion to the deviation of the outcome (Neyman 1934).
    const double doubt = std::sqrt((1 - probability) / settings_.max_error);
    return std::clamp(std::max(settings_.audit, falling) * doubt, least_audit(), 1.0);
}

Decision RiskCore::decide(const Candidate& candidate, double chance) {
    Decision out;
    out.era = learned_.era;
    out.inputs = candidate.inputs;
    out.threshold = threshold();
    out.verify_probability = 1;
    ++learned_.asked;
    if (candidate.veto != Veto::kNone) {
        out.action = Action::kExplore;
        out.vetoed = true;
        return out;
    }
    const double log_odds = learner_.log_odds(candidate.inputs);
    out.probability = probability_of(log_odds);
    const std::size_t level = Evidence::level_of(log_odds);
    out.level = static_cast<std::uint8_t>(level);
    if (level < Evidence::kLevels) learned_.evidence.ask(level);
    const bool good = serving() && level >= level_ && level < Evidence::kLevels;
    // Without a certificate: what the probability alone would have served.
    const bool would = serving() ? good : out.probability >= 1 - settings_.max_error;
    if (!good || unwatched() || settings_.advisory) {
        out.action = would ? Action::kShadow : Action::kExplore;
        learned_.would_serve += would ? 1 : 0;
        return out;
    }
    out.verify_probability = audit_rate(out.probability);
    out.action = chance < out.verify_probability ? Action::kServeAndAudit : Action::kServe;
    ++learned_.served;
    ++learned_.served_of_era;
    if (out.action == Action::kServeAndAudit) {
        ++learned_.audited;
    } else {
        served_error_.add(0);
    }
    return out;
}

void RiskCore::record(const Decision& decision, bool right) {
    if (decision.action == Action::kMiss || decision.action == Action::kServe) return;
    const bool audited = decision.action == Action::kServeAndAudit;
    if (audited && !right) ++learned_.audited_wrong;
    if (decision.era != learned_.era || decision.vetoed) return;
    missed_ = 0;
    if (audited) {
        served_error_.add(right ? 0 : std::min(1.0, least_audit() / decision.verify_probability));
    }
    ++learned_.verified_of_era;
    if (decision.level < Evidence::kLevels) learned_.evidence.verify(decision.level, right);
    learner_.learn(decision.inputs, right);
    learned_.surprise += decision.probability - (right ? 1 : 0) - kSlack;
    learned_.least_surprise = std::min(learned_.least_surprise, learned_.surprise);
    if (learned_.surprise - learned_.least_surprise > kAlarm && serving()) {
        begin_again("kept answers are wrong more often than they were (drift)");
        return;
    }
    if (audited && served_error_.low() > settings_.max_error * least_audit()) {
        begin_again("served answers were found wrong more often than promised");
        return;
    }
    if (++unseen_ >= kCertifyEvery || (audited && !right)) certify();
}

void RiskCore::missed(const Decision& decision) {
    if (decision.action == Action::kServeAndAudit && decision.era == learned_.era) ++missed_;
}

bool RiskCore::unwatched() const noexcept { return missed_ >= kMostMissed; }

void RiskCore::certify() {
    unseen_ = 0;
    certificate_ = learned_.evidence.certify(settings_.max_error, settings_.confidence);
    if (certificate_.level < Evidence::kLevels) learned_.stopped_why.clear();
    // Once the audits alone had shown the promise to be kept, they must go on showing it.
    const double high = served_error_.high() / least_audit();
    if (high <= settings_.max_error) {
        proven_ = true;
        raised_ = 0;
    } else if (proven_) {
        proven_ = false;
        raised_ += kRaise;
    }
    level_ = std::min(Evidence::kLevels, certificate_.level + raised_);
}

void RiskCore::begin_again(std::string why) {
    ++learned_.era;
    learned_.served_of_era = learned_.verified_of_era = 0;
    learned_.surprise = learned_.least_surprise = 0;
    learned_.evidence = {};
    if (!why.empty()) ++learned_.stops;
    learned_.stopped_why = std::move(why);
    served_error_ = MeanInterval(settings_.confidence);
    learner_.loosen();
    certificate_ = {};
    level_ = Evidence::kLevels;
    unseen_ = 0;
    missed_ = 0;
    raised_ = 0;
    proven_ = false;
}

RiskState RiskCore::state() const {
    using Phase = RiskState::Phase;
    RiskState out;
    out.threshold = threshold();
    out.audit = serving() ? audit_rate(1 - settings_.max_error) : 1;
    out.asked = learned_.asked;
    out.served = learned_.served;
    out.audited = learned_.audited;
    out.audited_wrong = learned_.audited_wrong;
    out.would_serve = learned_.would_serve;
    out.verified = learned_.verified_of_era;
    out.error_estimate = served_error_.mean() / least_audit();
    out.error_low = std::min(1.0, served_error_.low() / least_audit());
    out.error_high = std::min(1.0, served_error_.high() / least_audit());
    out.certified_error = certificate_.limit;
    out.stops = static_cast<std::uint32_t>(learned_.stops);
    const double least = Evidence::least_verified(settings_.max_error, settings_.confidence);
    if (settings_.advisory) {
        out.phase = Phase::kAdvisory;
        out.why = "no judge: it only says what it would have served";
    } else if (serving() && unwatched()) {
        out.phase = Phase::kStopped;
        out.why = fmt::format(
            "{} audits in a row brought no verdict: nothing is served until one does", missed_);
    } else if (serving()) {
        out.phase = Phase::kServing;
        out.why = fmt::format("at most {:.2f} % wrong by {:.0f} verdicts", 100 * certificate_.limit,
                              certificate_.verified);
    } else if (!learned_.stopped_why.empty()) {
        out.phase = Phase::kStopped;
        out.why = learned_.stopped_why;
    } else if (certificate_.verified < least) {
        out.phase = Phase::kGathering;
        out.why = fmt::format("thin evidence: {:.0f} of at least {:.0f} likely answers verified",
                              certificate_.verified, std::ceil(least));
    } else {
        out.phase = Phase::kUncertified;
        out.why = fmt::format("no threshold keeps to {:.2f} % wrong", 100 * settings_.max_error);
    }
    return out;
}

}  // namespace leeway::agent_cache::semantic
