#include "methods/cascade/certificate.hpp"

#include "base/confidence_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace leeway::cascade {
namespace {

bool shows(std::size_t harmed, std::size_t rows, const HarmPromise& promise) {
    return shows_at_most(promise.max_harm, static_cast<double>(harmed), static_cast<double>(rows),
                         promise.confidence);
}

std::string too_few(std::size_t rows, const HarmPromise& promise) {
    return fmt::format(
        "not enough evidence: {} judged requests, at least {} without harm are needed to show at "
        "most "
        "{:.2g} % at {:.3g} % confidence",
        rows, least_rows(promise), 100 * promise.max_harm, 100 * promise.confidence);
}

}  // namespace

std::vector<JudgedRow> judged_rows(const Labelled& labels, std::size_t weak, std::size_t strong) {
    const LabelledModel& first = labels.models[weak];
    const LabelledModel& second = labels.models[strong];
    std::vector<JudgedRow> out(labels.rows());
    for (std::size_t row = 0; row < out.size(); ++row) {
        out[row] = {first.score[row], harms(first.quality[row], second.quality[row]),
                    first.cost[row], second.cost[row], 0};
    }
    return out;
}

std::size_t least_rows(const HarmPromise& promise) {
    const double rows = std::log1p(-promise.confidence) / std::log1p(-promise.max_harm);
    auto n = static_cast<std::size_t>(std::ceil(rows));
    while (!shows(0, n, promise)) ++n;  // rounding
    return n;
}

std::optional<std::size_t> most_harms(std::size_t rows, const HarmPromise& promise) {
    if (rows == 0 || !shows(0, rows, promise)) return std::nullopt;
    std::size_t low = 0;  // shows it
    std::size_t high = rows;  // does not
    while (high - low > 1) {
        const std::size_t middle = (low + high) / 2;
        (shows(middle, rows, promise) ? low : high) = middle;
    }
    return low;
}

std::optional<Taken> laxest_cut(std::span<const JudgedRow> rows, std::size_t most) {
    std::vector<std::size_t> order(rows.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return rows[a].score > rows[b].score; });
    double weak_cost = 0;
    double strong_cost = 0;
    for (const JudgedRow& row : rows) {
        weak_cost += row.weak_cost;
        strong_cost += row.strong_cost;
    }
    // What follows the first harm too many is out of reach.
    std::optional<Taken> out;
    std::size_t harmed = 0;
    double kept = 0;  // strong calls that are not made
    for (std::size_t i = 0; i < order.size(); ++i) {
        harmed += rows[order[i]].harm ? 1 : 0;
        if (harmed > most) break;
        kept += rows[order[i]].strong_cost;
        if (i + 1 < order.size() && rows[order[i]].score == rows[order[i + 1]].score) continue;
        out = {rows[order[i]].score, i + 1, harmed,
               strong_cost > 0 ? (kept - weak_cost) / strong_cost : 0};
    }
    return out;
}

Certificate certify(std::span<const JudgedRow> rows, const HarmPromise& promise) {
    Certificate out;
    out.rows = rows.size();
    const auto most = most_harms(rows.size(), promise);
    if (!most) {
        out.why = too_few(rows.size(), promise);
        return out;
    }
    const auto taken = laxest_cut(rows, *most);
    if (!taken) {
        out.why = fmt::format(
            "not enough evidence: already the surest answers, all with one score, harm too often "
            "for at most {:.2g} %",
            100 * promise.max_harm);
        return out;
    }
    out.cut = taken->cut;
    if (!(taken->saving > 0)) {
        out.why = "not enough evidence: what can be shown saves less than the weak calls cost";
        return out;
    }
    out.certified = true;
    out.accepted = taken->accepted;
    out.harmed = taken->harmed;
    out.saving = taken->saving;
    out.limit = upper_limit(static_cast<double>(out.harmed), static_cast<double>(out.rows),
                            promise.confidence);
    out.why = fmt::format("at most {:.2f} % harmed at {:.3g} % confidence: {} of {} requests",
                          100 * out.limit, 100 * promise.confidence, out.harmed, out.rows);
    return out;
}

std::optional<double> largest_safe_knob(std::span<const double> harmed_from,
                                        const HarmPromise& promise) {
    const auto most = most_harms(harmed_from.size(), promise);
    if (!most) return std::nullopt;
    constexpr double kNever = std::numeric_limits<double>::infinity();
    std::vector<double> sorted(harmed_from.begin(), harmed_from.end());
    std::sort(sorted.begin(), sorted.end());
    // The knob that harms one row more than may be is the first that is too much.
    const double too_much = sorted[*most];
    return too_much == kNever ? kNever : std::nextafter(too_much, -kNever);
}

ClusterCertificates certify_clusters(std::span<const JudgedRow> rows, std::size_t clusters,
                                     const HarmPromise& promise) {
    std::vector<std::vector<JudgedRow>> parts(clusters);
    for (const JudgedRow& row : rows) parts[row.cluster].push_back(row);
    // Which have their own depends on numbers of rows only, so the parts of δ are fixed before any outcome is seen. Fewer
    // of them need fewer rows each: begin with all and leave out until it holds.
    std::vector<std::size_t> own(clusters);
    std::iota(own.begin(), own.end(), std::size_t{0});
    HarmPromise each = promise;
    constexpr std::size_t kMargin = 2;  // with the least of all, one harm would end it
    while (true) {
        const std::size_t groups = own.size() + (own.size() < clusters ? 1 : 0);
        each.confidence =
            1 - (1 - promise.confidence) / static_cast<double>(std::max<std::size_t>(1, groups));
        const std::size_t least = kMargin * least_rows(each);
        const auto thin = std::remove_if(own.begin(), own.end(),
                                         [&](std::size_t c) { return parts[c].size() < least; });
        if (thin == own.end()) break;
        own.erase(thin, own.end());
    }
    ClusterCertificates out;
    out.group.assign(clusters, own.size());
    for (const std::size_t c : own) {
        out.group[c] = out.certificates.size();
        out.certificates.push_back(certify(parts[c], each));
    }
    if (own.size() < clusters) {
        std::vector<JudgedRow> pool;
        for (std::size_t c = 0; c < clusters; ++c)
            if (out.group[c] == own.size())
                pool.insert(pool.end(), parts[c].begin(), parts[c].end());
        out.certificates.push_back(certify(pool, each));
    }
    return out;
}

}  // namespace leeway::cascade
