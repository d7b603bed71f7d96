#pragma once

#include "base/result.hpp"
#include "methods/cascade/policy.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace leeway::cascade {

/// What is promised against always asking the strong model.
struct HarmPromise {
    double max_harm =
        0.03;  ///< share of all requests: the weak answer was taken, it was wrong, the strong one right
    double confidence = 0.9;  ///< 1 - δ, with which the share is no larger
};

/// A request whose weak and strong answers were both judged.
struct JudgedRow {
    Score score;  ///< of the weak answer
    bool harm = false;  ///< taking it would harm
    double weak_cost = 0;  ///< USD
    double strong_cost = 0;
    std::uint32_t cluster = 0;
};

/// An answer counts as right from this quality on, where a certificate needs a yes or no.
inline constexpr double kRight = 0.5;
[[nodiscard]] inline bool harms(double weak_quality, double strong_quality) noexcept {
    return weak_quality < kRight && strong_quality >= kRight;
}
/// The rows of one pair of models. `weak` has scores.
[[nodiscard]] std::vector<JudgedRow> judged_rows(const Labelled& labels, std::size_t weak,
                                                 std::size_t strong);

/// From which score on weak answers may be taken, and what shows it.
struct Certificate {
    bool certified = false;  ///< else: not enough evidence, ask the strong model always
    Score cut;  ///< taken from here up, where `certified`
    std::size_t rows = 0;
    std::size_t accepted = 0;
    std::size_t harmed = 0;
    double limit = 1;  ///< upper confidence limit of the harm
    double saving =
        0;  ///< of what the strong model alone costs, on these rows, the weak calls paid; 0 where not certified
    std::string why;  ///< in words
};

/// The most harms among `rows` that still show at most `max_harm` (Clopper and Pearson 1934); nullopt: not even none
/// does, there are too few rows.
[[nodiscard]] std::optional<std::size_t> most_harms(std::size_t rows, const HarmPromise& promise);
/// The least rows that can show it.
[[nodiscard]] std::size_t least_rows(const HarmPromise& promise);

/// What taking all weak answers from a cut up does on some rows.
struct Taken {
    Score cut;
    std::size_t accepted = 0;
    std::size_t harmed = 0;
    double saving =
        0;  ///< of what the strong model alone costs, the weak calls paid; below 0: it costs more
};
/// The laxest cut that harms at most `most` of the rows; nullopt: none does. All answers with one score are taken or none.
[[nodiscard]] std::optional<Taken> laxest_cut(std::span<const JudgedRow> rows, std::size_t most);

/// Walks the cut from the strictest down while Clopper–Pearson shows the harm to be within the promise, and keeps the
/// last: a fixed sequence of tests, each at the full δ (Learn then Test, Angelopoulos et al. 2021). Harm never falls
/// along the walk, so it is enough that the test holds at the first cut that is too lax. It takes no cut that would
/// cost more than the strong model alone. Rows must be a sample of the traffic; which is not looked at.
[[nodiscard]] Certificate certify(std::span<const JudgedRow> rows, const HarmPromise& promise);

/// The same for a policy with several parts (a kept answer, a route, a cascade) that one knob makes bolder together:
/// `harmed_from` has, of each row, the least knob at which it is harmed (infinite: never). The largest safe knob, less
/// than the first that is too much; nullopt: not enough evidence. A row that is harmed at some knob must be at all
/// bolder ones.
[[nodiscard]] std::optional<double> largest_safe_knob(std::span<const double> harmed_from,
                                                      const HarmPromise& promise);

/// One certificate per cluster, all of them together right at the promise's confidence: clusters with enough rows for one
/// of their own share δ in equal parts (Bonferroni) with the pool of all the others. `group` tells whose a cluster's is.
struct ClusterCertificates {
    std::vector<Certificate> certificates;
    std::vector<std::size_t> group;  ///< of each cluster: place of its certificate
};
/// Each row's cluster is below `clusters`.
[[nodiscard]] ClusterCertificates certify_clusters(std::span<const JudgedRow> rows,
                                                   std::size_t clusters,
                                                   const HarmPromise& promise);

}  // namespace leeway::cascade
