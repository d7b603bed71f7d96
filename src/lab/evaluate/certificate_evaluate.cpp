#include "lab/evaluate/certificate_evaluate.hpp"

#include "base/chances.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace leeway::lab {
namespace {

using cascade::Certificate;
using cascade::JudgedRow;
using cascade::Score;

std::vector<JudgedRow> drawn(std::span<const JudgedRow> rows, std::size_t count, Chances& chances) {
    std::vector<JudgedRow> out;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        out.push_back(rows[chances.below(static_cast<std::uint32_t>(rows.size()))]);
    return out;
}

/// What taking weak answers from `cut` up does on all rows.
struct Truth {
    double harm = 0;
    double saving = 0;
    double accepted = 0;
};
/// All rows by score, so that the truth of any cut is one look.
class Truths {
public:
    explicit Truths(std::span<const JudgedRow> rows) : rows_(rows.begin(), rows.end()) {
        std::sort(rows_.begin(), rows_.end(),
                  [](const JudgedRow& a, const JudgedRow& b) { return a.score > b.score; });
        for (const JudgedRow& row : rows_) {
            const Sums& last = sums_.back();
            sums_.push_back({last.harmed + (row.harm ? 1 : 0), last.kept + row.strong_cost});
            weak_ += row.weak_cost;
        }
    }
    [[nodiscard]] Truth of(const Score& cut) const {
        const auto end = std::partition_point(
            rows_.begin(), rows_.end(), [&](const JudgedRow& row) { return row.score >= cut; });
        const auto taken = static_cast<std::size_t>(end - rows_.begin());
        const auto n = static_cast<double>(rows_.size());
        return {sums_[taken].harmed / n, (sums_[taken].kept - weak_) / sums_.back().kept,
                static_cast<double>(taken) / n};
    }

private:
    struct Sums {
        double harmed = 0;
        double kept = 0;  // cost of strong calls that are not made
    };
    std::vector<JudgedRow> rows_;
    std::vector<Sums> sums_{Sums{}};
    double weak_ = 0;
};

/// The laxest cut whose counted harm is within the bound; none when it saves nothing.
std::optional<Score> counted_cut(std::span<const JudgedRow> rows, double max_harm) {
    const double most = max_harm * static_cast<double>(rows.size());
    const auto taken = cascade::laxest_cut(rows, static_cast<std::size_t>(most));
    if (!taken || !(taken->saving > 0)) return std::nullopt;
    return taken->cut;
}

/// From sums over resplits to means.
void divide(CertificateFigures& figures, std::size_t resplits) {
    const auto times = static_cast<double>(std::max<std::size_t>(1, resplits));
    for (double* const sum : {&figures.share_certified, &figures.saving,
                              &figures.uncertified_saving, &figures.harm, &figures.accepted})
        *sum /= times;
}

}  // namespace

Result<std::vector<PairRows>> pair_rows(std::span<const CascadeData> tasks, std::string_view weak,
                                        std::string_view strong) {
    std::vector<PairRows> out;
    for (const CascadeData& data : tasks) {
        const auto first = data.model(weak);
        const auto second = data.model(strong);
        if (!first || !second) {
            return fail(
                ErrorCode::kConfig,
                fmt::format("task {} has no outcomes of {}", data.task, first ? strong : weak),
                fmt::format("it has those of {}", fmt::join(data.models, ", ")));
        }
        if (*first == *second)
            return fail(ErrorCode::kConfig, "a model cannot be certified against itself");
        if (data.outcomes.models[*first].score.empty()) {
            return fail(ErrorCode::kConfig,
                        fmt::format("task {}: {} has no log-probabilities", data.task, weak),
                        "the weak model of a pair needs a confidence");
        }
        out.push_back({data.task, cascade::judged_rows(data.outcomes, *first, *second)});
    }
    return out;
}

PairRows joined(std::span<const PairRows> tasks) {
    PairRows out;
    for (const PairRows& one : tasks) {
        out.task += (out.task.empty() ? "" : "+") + one.task;
        out.rows.insert(out.rows.end(), one.rows.begin(), one.rows.end());
    }
    return out;
}

CertificateFigures evaluate_certificate(std::span<const JudgedRow> rows,
                                        const CertificatePlan& plan) {
    CertificateFigures out;
    const Truths truths(rows);
    for (std::size_t i = 0; i < plan.resplits; ++i) {
        Chances chances(seed_of(plan.seed, i));
        const std::vector<JudgedRow> labels = drawn(rows, plan.labels, chances);
        const Certificate made = cascade::certify(labels, plan.promise);
        if (i == 0) out.why = made.why;
        if (made.certified) {
            const Truth truth = truths.of(made.cut);
            out.share_certified += 1;
            out.saving += truth.saving;
            out.harm += truth.harm;
            out.accepted += truth.accepted;
            out.violations += truth.harm > plan.promise.max_harm ? 1U : 0U;
        }
        if (const auto cut = counted_cut(labels, plan.promise.max_harm)) {
            const Truth truth = truths.of(*cut);
            out.uncertified_saving += truth.saving;
            out.uncertified_violations += truth.harm > plan.promise.max_harm ? 1U : 0U;
        }
    }
    divide(out, plan.resplits);
    return out;
}

CertificateFigures evaluate_cluster_certificates(std::span<const PairRows> tasks,
                                                 const CertificatePlan& plan) {
    std::vector<JudgedRow> all;
    for (std::size_t task = 0; task < tasks.size(); ++task) {
        for (JudgedRow row : tasks[task].rows) {
            row.cluster = static_cast<std::uint32_t>(task);
            all.push_back(row);
        }
    }
    double strong_cost = 0;
    for (const JudgedRow& row : all) strong_cost += row.strong_cost;
    CertificateFigures out;
    for (std::size_t i = 0; i < plan.resplits; ++i) {
        Chances chances(seed_of(plan.seed, i));
        const std::vector<JudgedRow> labels = drawn(all, plan.labels, chances);
        const auto made = cascade::certify_clusters(labels, tasks.size(), plan.promise);
        if (i == 0) out.why = made.certificates.front().why;
        struct Group {
            double rows = 0;
            double harmed = 0;
        };
        std::vector<Group> groups(made.certificates.size());
        double saved = 0;
        double taken = 0;
        double harmed = 0;
        for (const JudgedRow& row : all) {
            const Certificate& one = made.certificates[made.group[row.cluster]];
            Group& group = groups[made.group[row.cluster]];
            group.rows += 1;
            if (!one.certified) continue;
            saved -= row.weak_cost;
            if (row.score < one.cut) continue;
            saved += row.strong_cost;
            taken += 1;
            group.harmed += row.harm ? 1 : 0;
            harmed += row.harm ? 1 : 0;
        }
        const auto n = static_cast<double>(all.size());
        out.saving += saved / strong_cost;
        out.accepted += taken / n;
        out.harm += harmed / n;
        out.share_certified += std::any_of(made.certificates.begin(), made.certificates.end(),
                                           [](const Certificate& one) { return one.certified; })
                                   ? 1
                                   : 0;
        out.violations += std::any_of(groups.begin(), groups.end(),
                                      [&](const Group& group) {
                                          return group.harmed > plan.promise.max_harm * group.rows;
                                      })
                              ? 1U
                              : 0U;
    }
    divide(out, plan.resplits);
    return out;
}

DriftFigures evaluate_drift(std::span<const JudgedRow> first, std::span<const JudgedRow> second,
                            const DriftPlan& plan) {
    DriftFigures out;
    const Truths first_truths(first);
    const Truths second_truths(second);
    const double most = plan.online.promise.max_harm * static_cast<double>(plan.after);
    std::vector<double> waits;
    double audits = 0;
    double requests = 0;
    for (std::size_t s = 0; s < plan.seeds; ++s) {
        Chances chances(seed_of(plan.seed, s));
        const auto labels = drawn(first, plan.labels, chances);
        const Certificate made = cascade::certify(labels, plan.online.promise);
        if (!made.certified) continue;
        ++out.certified;
        out.harm_before += first_truths.of(made.cut).harm;
        out.harm_after += second_truths.of(made.cut).harm;
        cascade::OnlineCertificate online(plan.online, made, labels);
        double harmed = 0;  // since the change
        double unwatched = 0;
        std::optional<std::size_t> demoted;
        bool passed = false;
        for (std::size_t i = 0; i < plan.before + plan.after; ++i) {
            const bool after = i >= plan.before;
            const auto& traffic = after ? second : first;
            const JudgedRow& row =
                traffic[chances.below(static_cast<std::uint32_t>(traffic.size()))];
            const bool was_serving = online.serving();
            const auto decision = online.decide(row.score, chances.uniform());
            if (was_serving && !demoted) {
                requests += 1;
                audits += decision.weak && decision.judge ? 1 : 0;
            }
            online.record(row.score, decision, row.harm);
            if (!demoted && was_serving && !online.serving()) demoted = i;
            if (!after) continue;
            harmed += decision.weak && row.harm ? 1 : 0;
            unwatched += row.harm && row.score >= made.cut ? 1 : 0;
            passed = passed || harmed > most;
        }
        if (demoted && *demoted < plan.before) ++out.demoted_before;
        if (demoted && *demoted >= plan.before) {
            ++out.demoted;
            waits.push_back(static_cast<double>(*demoted - plan.before + 1));
        }
        if (demoted) out.why = online.why();
        out.passed += passed ? 1U : 0U;
        out.passed_unwatched += unwatched > most ? 1U : 0U;
    }
    const auto n = static_cast<double>(std::max<std::size_t>(1, out.certified));
    out.harm_before /= n;
    out.harm_after /= n;
    out.audits = requests > 0 ? audits / requests : 0;
    out.wait = std::numeric_limits<double>::quiet_NaN();
    if (!waits.empty()) {
        const auto middle = waits.begin() + static_cast<std::ptrdiff_t>(waits.size() / 2);
        std::nth_element(waits.begin(), middle, waits.end());
        out.wait = *middle;
    }
    return out;
}

}  // namespace leeway::lab
