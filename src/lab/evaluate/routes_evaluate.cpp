#include "lab/evaluate/routes_evaluate.hpp"

#include "base/clock.hpp"
#include "methods/router/semantic/calibration.hpp"
#include "methods/router/semantic/folds.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

namespace leeway::lab {
namespace {

using router::Decision;
using router::ScoredRows;
using router::SemanticRouter;

constexpr std::array kFalseRejections{0.01, 0.02, 0.05, 0.10};
constexpr std::size_t kMostWrong = 1000;

double share(std::size_t part, std::size_t all) {
    return static_cast<double>(part) / static_cast<double>(all);
}

/// Collects decisions about rows, whoever made them.
class Tally {
public:
    Tally(const router::RouteSet& set, const LabelledRows& rows)
        : set_(set), rows_(rows), seen_(seen_rows(set, rows)) {
        for (const auto& route : set.routes) report_.routes.push_back({route.name, 0, 0, 0});
    }

    void decide(const SemanticRouter& router, std::span<const std::size_t> places) {
        for (const std::size_t place : places) {
            const TimePoint begin = monotonic_now();
            const Decision decision =
                router.decide({rows_.rows[place].text, rows_.vectors.row(place), {}, {}, 0});
            spent_ += monotonic_now() - begin;
            add(place, decision);
        }
    }

    RoutesReport finish() {
        RoutesReport& out = report_;
        out.n = judged_.size();
        out.accuracy = out.n == 0 ? 0 : share(right_, out.n);
        out.accuracy_ci = wilson(right_, out.n);
        if (out.n > out.seen) out.accuracy_unseen = share(right_ - seen_right_, out.n - out.seen);
        const std::size_t in_scope = out.n - none_;
        if (in_scope > 0) {
            out.in_scope_accuracy = share(in_scope_right_, in_scope);
            out.false_rejection = share(falsely_rejected_, in_scope);
        }
        if (none_ > 0) out.rejection_recall = share(right_ - in_scope_right_, none_);
        if (in_scope > 0 && none_ > 0) add_points();
        out.calibration_error = router::calibration_error(judged_);
        out.mean_cost = out.n == 0 ? 0 : cost_ / static_cast<double>(out.n);
        if (out.n > 0) {
            out.decide_us = std::chrono::duration<double, std::micro>(spent_).count() /
                            static_cast<double>(out.n);
        }
        return std::move(report_);
    }

private:
    void add(std::size_t place, const Decision& decision) {
        const auto& row = rows_.rows[place];
        const auto wanted = set_.find(row.route);
        const bool right = wanted == decision.route;
        const auto as_label = [](std::optional<std::size_t> route) {
            return route ? static_cast<std::int32_t>(*route) : ScoredRows::kNone;
        };
        cost_ += router::cost_of(as_label(decision.route), as_label(wanted), set_.costs);
        judged_.push_back({decision.probability, right});
        right_ += right ? 1 : 0;
        if (seen_[place]) {
            ++report_.seen;
            seen_right_ += right ? 1 : 0;
        }
        if (decision.by == router::DecidedBy::kRule) ++report_.by_rule;
        if (wanted) {
            ++report_.routes[*wanted].rows;
            in_scope_right_ += right ? 1 : 0;
            falsely_rejected_ += decision.route ? 0 : 1;
        } else {
            ++none_;
        }
        if (decision.route) {
            ++report_.routes[*decision.route].taken;
            if (right) ++report_.routes[*decision.route].right;
        }
        const std::string decided =
            decision.route ? set_.routes[*decision.route].name : std::string();
        ++report_.confusion[row.route][decided];
        if (!right && report_.wrong.size() < kMostWrong)
            report_.wrong.push_back({row.text, row.route, decided, decision.probability});
        // A rule is as far from its threshold as can be.
        const double excess = decision.scores.empty() ? (decision.route ? 1e9 : -1e9)
                                                      : decision.scores.front().score -
                                                            decision.scores.front().threshold;
        (wanted ? in_scope_excess_ : none_excess_).push_back(excess);
    }

    void add_points() {
        std::sort(in_scope_excess_.begin(), in_scope_excess_.end());
        std::sort(none_excess_.begin(), none_excess_.end());
        for (const double allowed : kFalseRejections) {
            const auto cut =
                static_cast<std::size_t>(allowed * static_cast<double>(in_scope_excess_.size()));
            const double limit = in_scope_excess_[cut];
            const auto below = std::lower_bound(none_excess_.begin(), none_excess_.end(), limit);
            report_.rejection_at.push_back(
                {allowed, share(static_cast<std::size_t>(below - none_excess_.begin()),
                                none_excess_.size())});
        }
    }

    const router::RouteSet& set_;
    const LabelledRows& rows_;
    std::vector<bool> seen_;
    RoutesReport report_;
    std::vector<router::Judged> judged_;
    std::vector<double> in_scope_excess_;
    std::vector<double> none_excess_;
    std::size_t right_ = 0;
    std::size_t seen_right_ = 0;
    std::size_t in_scope_right_ = 0;
    std::size_t falsely_rejected_ = 0;
    std::size_t none_ = 0;
    double cost_ = 0;
    Duration spent_{};
};

Result<SemanticRouter> fitted_router(const router::RouteSet& set,
                                     const models::EmbeddingModel& model,
                                     const models::VectorTable& base, const LabelledRows& rows,
                                     const RouteTuning& tuning) {
    auto fitted = fit_set(set, model, base, rows, tuning);
    if (!fitted) return fail(std::move(fitted.error()));
    return SemanticRouter::build(std::move(fitted->set), model, fitted->vectors);
}

}  // namespace

std::optional<double> RouteFigures::precision() const {
    if (taken == 0) return std::nullopt;
    return share(right, taken);
}
std::optional<double> RouteFigures::recall() const {
    if (rows == 0) return std::nullopt;
    return share(right, rows);
}

std::array<double, 2> wilson(std::size_t right, std::size_t all) {
    if (all == 0) return {0, 1};
    constexpr double kZ = 1.959964;
    const double n = static_cast<double>(all);
    const double p = static_cast<double>(right) / n;
    const double middle = (p + kZ * kZ / (2 * n)) / (1 + kZ * kZ / n);
    const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n)) / (1 + kZ * kZ / n);
    return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Result<RoutesReport> evaluate_routes(const router::RouteSet& set,
                                     const models::EmbeddingModel& model,
                                     const models::VectorTable& base, const LabelledRows& rows,
                                     const LabelledRows* train, const RoutesMeasuring& measuring) {
    Tally tally(set, rows);
    std::vector<std::size_t> all(rows.rows.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (measuring.folds == 0 || train != nullptr) {
        auto router = train == nullptr ? SemanticRouter::build(set, model, base)
                                       : fitted_router(set, model, base, *train, measuring.tuning);
        if (!router) return fail(std::move(router.error()));
        tally.decide(*router, all);
    } else {
        std::vector<std::int32_t> labels;
        for (const auto& row : rows.rows) {
            const auto route = set.find(row.route);
            labels.push_back(route ? static_cast<std::int32_t>(*route) : ScoredRows::kNone);
        }
        const std::vector<std::size_t> part =
            router::stratified_folds(labels, measuring.folds, measuring.tuning.seed);
        for (std::size_t fold = 0; fold < measuring.folds; ++fold) {
            std::vector<std::size_t> fitting;
            std::vector<std::size_t> testing;
            for (const std::size_t i : all) (part[i] == fold ? testing : fitting).push_back(i);
            auto router = fitted_router(set, model, base, rows_at(rows, fitting), measuring.tuning);
            if (!router) return fail(std::move(router.error()));
            tally.decide(*router, testing);
        }
    }
    RoutesReport out = tally.finish();
    out.fitted = train != nullptr || measuring.folds > 0 || set.fitted.has_value();
    out.folds = train == nullptr ? measuring.folds : 0;
    return out;
}

}  // namespace leeway::lab
