#include "methods/cascade/online_certificate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace leeway::cascade {
namespace {

// Of the first scores after a demotion, which only choose the cuts that are tried, and how many there are.
constexpr std::size_t kScouts = 100;
constexpr std::size_t kCuts = 24;
// Evidence below this has too rough a picture of the traffic to watch it by.
constexpr std::size_t kLeastRows = 300;
// Of what was judged since a demotion, the last so many tell how traffic is spread.
constexpr std::size_t kMostGathered = 4096;

std::vector<Score> even_cuts(std::vector<Score> scores) {
    std::sort(scores.begin(), scores.end(), std::greater<>());
    std::vector<Score> out;
    for (std::size_t i = 1; i <= kCuts; ++i) {
        const Score& cut = scores[(scores.size() * i / kCuts) - 1];
        if (out.empty() || out.back() != cut) out.push_back(cut);
    }
    return out;
}

}  // namespace

OnlineCertificate::OnlineCertificate(const OnlineSettings& settings, const Certificate& certificate,
                                     std::span<const JudgedRow> rows)
    : settings_(settings), harm_(settings.promise.confidence) {
    if (!certificate.certified) return;
    std::vector<Score> scores;
    for (const JudgedRow& row : rows) scores.push_back(row.score);
    serve(certificate.cut, scores,
          certificate.limit * static_cast<double>(certificate.rows) /
              static_cast<double>(certificate.accepted));
}

void OnlineCertificate::serve(const Score& cut, std::span<const Score> reference,
                              double harm_rate) {
    cut_ = cut;
    traffic_.emplace(reference, cut, settings_.false_alarm_every);
    audits_.emplace(harm_rate, settings_.false_alarm_every * settings_.audit);
    harm_ = MeanInterval(settings_.promise.confidence);
}

void OnlineCertificate::demote(std::string why) {
    cut_.reset();
    traffic_.reset();
    audits_.reset();
    gathered_.clear();
    oldest_ = 0;
    walk_.reset();
    own_.reset();
    why_ = std::move(why);
    ++demotions_;
}

OnlineDecision OnlineCertificate::decide(const Score& score, double chance) {
    if (traffic_ && traffic_->add(score))
        demote("scores of the weak model are spread otherwise than when it was certified (drift)");
    if (!cut_) return {false, chance < settings_.shadow};
    if (score < *cut_) {
        harm_.add(0);
        return {false, false};
    }
    const bool audited = chance < settings_.audit;
    if (!audited) harm_.add(0);
    return {true, audited};
}

void OnlineCertificate::record(const Score& score, const OnlineDecision& decision, bool harm) {
    if (!decision.judge) return;
    if (decision.weak) {
        if (!cut_) return;  // demoted meanwhile
        harm_.add(harm ? 1 : 0);
        if (audits_->add(harm)) {
            demote("audited answers harm more often than those that certified it");
        } else if (harm_low() > settings_.promise.max_harm) {
            demote(fmt::format("audits show more than {:.2g} % harmed",
                               100 * settings_.promise.max_harm));
        }
        return;
    }
    if (!cut_) gather(score, harm);
}

void OnlineCertificate::gather(const Score& score, bool harm) {
    if (!walk_) {
        gathered_.push_back(score);
        if (gathered_.size() < kScouts) return;
        walk_.emplace(even_cuts(std::move(gathered_)), settings_.promise);
        gathered_.clear();
        return;
    }
    if (gathered_.size() < kMostGathered) {
        gathered_.push_back(score);
    } else {
        gathered_[oldest_++ % kMostGathered] = score;
    }
    walk_->add(score, harm);
    const auto certified = walk_->cut();
    if (!certified || gathered_.size() < kLeastRows) return;
    const auto rows = static_cast<double>(gathered_.size());
    const auto accepted = static_cast<double>(std::count_if(
        gathered_.begin(), gathered_.end(), [&](const Score& one) { return one >= *certified; }));
    if (accepted < settings_.least_accepted * rows) return;
    const double rate = settings_.promise.max_harm * rows / std::max(1.0, accepted);
    resume({*certified, std::min(rate, 1.0), spread_scores(std::move(gathered_))});
}

void OnlineCertificate::resume(SelfCertified certified) {
    own_ = std::move(certified);
    serve(own_->cut, own_->scores, own_->harm_rate);
    gathered_.clear();
    oldest_ = 0;
    walk_.reset();
}

}  // namespace leeway::cascade
