#pragma once

#include "base/result.hpp"
#include "lab/evaluate/cascade_data.hpp"
#include "methods/cascade/online_certificate.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// Rows of one task, or of several together, on which both models of a pair answered.
struct PairRows {
    std::string task;  ///< names joined by "+" where there are several
    std::vector<cascade::JudgedRow> rows;
};
/// Rows of each task. Errors (kConfig): a model that the file does not have, a weak model without log-probabilities.
[[nodiscard]] Result<std::vector<PairRows>> pair_rows(std::span<const CascadeData> tasks,
                                                      std::string_view weak,
                                                      std::string_view strong);
/// Those of several tasks together.
[[nodiscard]] PairRows joined(std::span<const PairRows> tasks);

struct CertificatePlan {
    cascade::HarmPromise promise;
    std::size_t labels = 600;
    std::size_t resplits = 1000;
    std::uint64_t seed = 1;
};

/// What became of many certificates, each from `labels` rows drawn with replacement, so that the truth is known: what the
/// cut does on all rows.
struct CertificateFigures {
    double share_certified = 0;  ///< of the resplits
    double saving = 0;  ///< of the strong model's cost, mean; 0 where not certified
    double uncertified_saving =
        0;  ///< of the cut whose counted harm alone is within the promise, mean
    double harm = 0;  ///< true, mean
    double accepted = 0;  ///< share of weak answers taken, mean
    std::size_t violations = 0;  ///< resplits whose true harm is more than promised
    std::size_t uncertified_violations = 0;
    std::string why;  ///< of the first resplit
};
[[nodiscard]] CertificateFigures evaluate_certificate(std::span<const cascade::JudgedRow> rows,
                                                      const CertificatePlan& plan);

/// Certificates of several tasks at once, all of them right together: what `certify_clusters` makes of `labels` rows drawn from all
/// tasks. A violation: in some group the true harm is above the promise. `saving` and `harm` are of all rows.
[[nodiscard]] CertificateFigures evaluate_cluster_certificates(std::span<const PairRows> tasks,
                                                               const CertificatePlan& plan);

struct DriftPlan {
    cascade::OnlineSettings online;
    std::size_t labels = 600;
    std::size_t before = 1000;  ///< requests like those that certified it
    std::size_t after = 1000;  ///< requests after the change
    std::size_t seeds = 200;
    std::uint64_t seed = 1;
};

/// What a change of traffic does to a certificate in use.
struct DriftFigures {
    std::size_t certified = 0;  ///< seeds that began with one; the others are not counted below
    std::size_t passed = 0;  ///< seeds in which harms after the change came to max_harm × `after`
    std::size_t passed_unwatched = 0;  ///< had the certificate stood
    std::size_t demoted = 0;  ///< seeds demoted after the change
    std::size_t demoted_before = 0;  ///< without any change: false alarms
    double wait = 0;  ///< requests from the change to the demotion, median; NaN: none was demoted
    double harm_before = 0;  ///< true harm of the certified cut on the first traffic, mean
    double harm_after = 0;  ///< and on the second
    double audits = 0;  ///< share of requests for which the strong model was asked beside
    std::string why;  ///< of the last demotion

    /// Seeds demoted before harms after the change came to max_harm × `after`, or in which they never came to it.
    [[nodiscard]] std::size_t in_time() const noexcept { return certified - passed; }
};
/// Plays `before` requests of `first`, then `after` of `second`, drawn with replacement, for each seed.
[[nodiscard]] DriftFigures evaluate_drift(std::span<const cascade::JudgedRow> first,
                                          std::span<const cascade::JudgedRow> second,
                                          const DriftPlan& plan);

}  // namespace leeway::lab
