#include "lab/evaluate/router_tune.hpp"

#include "methods/router/semantic/folds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace leeway::lab {
namespace {

using router::in_usd;
using router::OutcomeRows;
using router::Prediction;
using router::RoutePolicy;

/// These rows of these models.
OutcomeRows only(const OutcomeRows& rows, std::span<const std::size_t> models,
                 std::span<const std::size_t> chosen) {
    OutcomeRows out;
    out.dimension = rows.dimension;
    out.vectors.reserve(chosen.size() * rows.dimension);
    for (const std::size_t r : chosen) {
        const std::span<const float> vector = rows.vector(r);
        out.vectors.insert(out.vectors.end(), vector.begin(), vector.end());
        out.cues.push_back(rows.cues[r]);
    }
    for (const std::size_t m : models) {
        const router::ModelRecord& from = rows.models[m];
        router::ModelRecord& to = out.models.emplace_back();
        to.model = from.model;
        for (const std::size_t r : chosen) {
            to.quality.push_back(from.quality[r]);
            to.cost.push_back(from.cost[r]);
            to.tokens_out.push_back(from.tokens_out[r]);
        }
    }
    return out;
}

std::vector<std::size_t> all_models(const OutcomeRows& rows) {
    std::vector<std::size_t> out(rows.models.size());
    std::iota(out.begin(), out.end(), std::size_t{0});
    return out;
}

/// The dearest model's mean.
double dearest(const OutcomeRows& rows) {
    double out = 0;
    for (const Prediction& one : router::mean_predictions(rows))
        out = std::max(out, in_usd(one.cost));
    return out;
}

/// The ladder of λ with the one that is wanted among them.
std::vector<double> lambdas_of(const OutcomeRows& rows, const router::Spending& spending) {
    std::vector<double> out = router::lambda_ladder(dearest(rows));
    if (!spending.budget_usd && std::ranges::find(out, spending.lambda) == out.end())
        out.insert(std::ranges::upper_bound(out, spending.lambda), spending.lambda);
    return out;
}

/// The trades at which a policy works, and what money is worth there to who only has single models.
struct Working {
    cascade::Mixture mixture;
    double lambda = 0;
};
Working working(const RoutePolicy& policy, const router::Spending& spending) {
    Working out;
    if (spending.budget_usd) {
        const std::vector<CostQuality> points = policy.points();
        const auto hull = cascade::upper_hull(points);
        out.mixture = cascade::mixture_at(points, hull, *spending.budget_usd);
        out.lambda = cascade::lambda_at(points, hull, *spending.budget_usd);
        return out;
    }
    const auto at = std::ranges::find(policy.trades, spending.lambda, &router::RouteTrade::lambda);
    const auto trade = static_cast<std::size_t>(at - policy.trades.begin());
    out.mixture = {trade, trade, 0};
    out.lambda = spending.lambda;
    return out;
}

/// What a policy and the zero router get on rows that neither saw.
class Nested {
public:
    Nested(const OutcomeRows& rows, const RouterTuning& how) : rows_(rows), how_(how) {}
    Result<void> run();
    void tell(router::RouterEvidence& out) const;

private:
    Result<void> one_fold(const std::vector<std::size_t>& fold_of, std::size_t fold);

    const OutcomeRows& rows_;
    const RouterTuning& how_;
    std::vector<double> gains_;  // by row, in the order of the folds
    double quality_ = 0;
    double cost_ = 0;
    double zero_quality_ = 0;
    double zero_cost_ = 0;
};

Result<void> Nested::one_fold(const std::vector<std::size_t>& fold_of, std::size_t fold) {
    std::vector<std::size_t> train;
    for (std::size_t r = 0; r < rows_.size(); ++r)
        if (fold_of[r] != fold) train.push_back(r);
    const OutcomeRows learned = only(rows_, all_models(rows_), train);
    const auto fitted =
        router::fit_predictor(learned, {.folds = how_.folds - 1, .seed = how_.seed});
    if (!fitted) return fail(fitted.error());
    const std::vector<double> lambdas = lambdas_of(learned, how_.spending);
    const RoutePolicy policy =
        router::fit_policy(learned, fitted->held_out, lambdas, {.sure = how_.sure});
    const RoutePolicy zero = router::zero_policy(learned, lambdas);
    const Working here = working(policy, how_.spending);
    const Working there = working(zero, how_.spending);
    std::vector<Prediction> told(rows_.models.size());
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        if (fold_of[r] != fold) continue;
        fitted->predictor.predict(rows_.vector(r), rows_.cues[r], told);
        const auto got = [&](const RoutePolicy& of, const Working& at) {
            const auto mean = [&](auto&& value) {
                return at.mixture.of(
                    [&](std::size_t trade) { return value(rows_.models[of.choose(trade, told)]); });
            };
            return CostQuality{
                mean([&](const router::ModelRecord& model) { return in_usd(model.cost[r]); }),
                mean([&](const router::ModelRecord& model) {
                    return static_cast<double>(model.quality[r]);
                })};
        };
        const CostQuality ours = got(policy, here);
        const CostQuality theirs = got(zero, there);
        gains_.push_back(ours.quality - theirs.quality - there.lambda * (ours.cost - theirs.cost));
        quality_ += ours.quality;
        cost_ += ours.cost;
        zero_quality_ += theirs.quality;
        zero_cost_ += theirs.cost;
    }
    return {};
}

Result<void> Nested::run() {
    const std::vector<std::int32_t> alike(rows_.size(), 0);
    const auto fold_of = router::stratified_folds(alike, how_.folds, how_.seed);
    for (std::size_t fold = 0; fold < how_.folds; ++fold) {
        if (auto done = one_fold(fold_of, fold); !done) return done;
        if (how_.progress)
            how_.progress(static_cast<double>(fold + 1) / static_cast<double>(how_.folds + 1));
    }
    return {};
}

void Nested::tell(router::RouterEvidence& out) const {
    const auto n = static_cast<double>(gains_.size());
    const auto mean_by = [&](std::span<const std::uint32_t> weights) {
        double sum = 0;
        for (std::size_t i = 0; i < gains_.size(); ++i) sum += weights[i] * gains_[i];
        return sum / n;
    };
    const std::vector<std::uint32_t> once(gains_.size(), 1);
    std::vector<double> drawn;
    resample(std::vector<std::uint32_t>(gains_.size(), 0), how_.resamples, how_.seed,
             [&](std::span<const std::uint32_t> weights) { drawn.push_back(mean_by(weights)); });
    const Estimate gain = estimate_of(mean_by(once), std::move(drawn));
    out.gain = gain.value;
    out.gain_low = gain.low;
    out.gain_high = gain.high;
    out.quality = quality_ / n;
    out.cost_usd = cost_ / n;
    out.zero_quality = zero_quality_ / n;
    out.zero_cost_usd = zero_cost_ / n;
    out.enough = gain.low > 0;
    if (!out.enough) {
        out.why = fmt::format(
            "the gain over single models is {:+.2f} pp, and its interval "
            "({:+.2f} to {:+.2f}) is not above 0",
            100 * gain.value, 100 * gain.low, 100 * gain.high);
    }
}

/// The bank with the rows of a cluster side by side, so that looking at the near clusters goes through memory in order.
router::PredictorState arranged(const router::PredictorState& state) {
    router::PredictorState out = state;
    std::vector<std::uint32_t> order;
    for (const std::vector<std::uint32_t>& cell : state.bank.cells)
        order.insert(order.end(), cell.begin(), cell.end());
    out.bank.vectors.clear();
    for (auto& cell : out.bank.cells) cell.clear();
    for (std::size_t c = 0; c < state.bank.cells.size(); ++c)
        for (const std::uint32_t row : state.bank.cells[c])
            out.bank.add(state.bank.row(row), static_cast<std::uint32_t>(c));
    for (std::size_t m = 0; m < out.models.size(); ++m)
        for (std::size_t r = 0; r < order.size(); ++r)
            out.models[m].by_row[r] = state.models[m].by_row[order[r]];
    return out;
}

/// The best model that the spending affords, for everything; else the cheapest.
RoutePolicy single_policy(const OutcomeRows& rows, const router::Spending& spending) {
    std::vector<Prediction> means = router::mean_predictions(rows);
    RoutePolicy out;
    out.trades.resize(1);
    router::RouteTrade& trade = out.trades.front();
    trade.lambda = spending.budget_usd ? 0 : spending.lambda;
    router::ModelSet affordable = 0;
    for (std::size_t m = 0; m < means.size(); ++m)
        if (!spending.budget_usd || in_usd(means[m].cost) <= *spending.budget_usd)
            affordable |= router::ModelSet{1} << m;
    const auto single =
        affordable != 0
            ? router::best_trade(means, trade.lambda, affordable)
            : static_cast<std::size_t>(std::ranges::min_element(means, {}, &Prediction::cost) -
                                       means.begin());
    trade.single = static_cast<std::uint32_t>(single);
    trade.quality = static_cast<double>(means[single].quality);
    trade.cost_usd = in_usd(means[single].cost);
    return out;
}

}  // namespace

Result<OutcomeRows> complete_rows(const OutcomeRows& rows, std::span<const std::string> models) {
    std::vector<std::size_t> chosen;
    for (const std::string& name : models) {
        const auto found = std::ranges::find(rows.models, name, &router::ModelRecord::model);
        if (found == rows.models.end())
            return fail(ErrorCode::kInvalidRequest,
                        fmt::format("no outcome of a model '{}' is known", name));
        chosen.push_back(static_cast<std::size_t>(found - rows.models.begin()));
    }
    std::vector<std::size_t> known;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        if (std::ranges::none_of(
                chosen, [&](std::size_t m) { return std::isnan(rows.models[m].quality[r]); }))
            known.push_back(r);
    }
    return only(rows, chosen, known);
}

Result<router::RouterFile> tune_router(const OutcomeRows& rows, const RouterTuning& how) {
    if (rows.models.size() < 2)
        return fail(ErrorCode::kInvalidRequest, "with one model there is nothing to route");
    if (rows.models.size() > router::kMostModels)
        return fail(ErrorCode::kInvalidRequest, "a router has at most 64 models");
    auto fitted = router::fit_predictor(rows, {.folds = how.folds, .seed = how.seed});
    if (!fitted) return fail(std::move(fitted.error()));
    router::RouterFile out;
    out.spending = how.spending;
    router::RouterEvidence& shown = out.evidence;
    shown.rows = rows.size();
    shown.folds = how.folds;
    shown.seed = how.seed;
    if (rows.size() < std::max(kLeastTuningRows, how.folds * 10)) {
        shown.why = fmt::format("{} rows with an outcome of every model, of at least {}",
                                rows.size(), std::max(kLeastTuningRows, how.folds * 10));
    } else {
        Nested nested(rows, how);
        if (auto done = nested.run(); !done) return fail(std::move(done.error()));
        nested.tell(shown);
    }
    if (how.progress) how.progress(1);
    out.policy = shown.enough
                     ? router::fit_policy(rows, fitted->held_out, lambdas_of(rows, how.spending),
                                          {.sure = how.sure})
                     : single_policy(rows, how.spending);
    out.state = arranged(fitted->predictor.state());
    return out;
}

}  // namespace leeway::lab
