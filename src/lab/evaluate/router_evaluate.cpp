#include "lab/evaluate/router_evaluate.hpp"

#include "lab/evaluate/cascade_data.hpp"
#include "lab/evaluate/cascade_rivals.hpp"
#include "lab/evaluate/matrix_factorisation.hpp"
#include "lab/outcomes/outcome_reader.hpp"
#include "methods/router/semantic/folds.hpp"
#include "store/vectors/kernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace leeway::lab {
namespace {

using router::in_usd;
using router::Prediction;

constexpr std::size_t kLeastRowsPerFold = 10;
constexpr std::size_t kLambdas = 40;
constexpr std::size_t kBudgets = 41;
constexpr std::size_t kFrugalBudgets = 21;  // each is an optimisation of its own
// More labels tell FrugalGPT's three cuts no more, and each chain that it tries counts them all.
constexpr std::size_t kMostFrugalLabels = 1000;
// Below this a difference is one of rounding.
constexpr double kRounding = 1e-9;

// Ways to route that are played, and where they stand.
enum Way : std::size_t {
    kLeeway,
    kNoFallBack,
    kNeighbours5,
    kFactors,
    kFrugal,
    kRandom,
    kZero,
    kOracle,
    kWayCount
};
constexpr std::array<const char*, kWayCount> kNames{"leeway",      "leeway without fall-back",
                                                    "kNN-5",       "matrix factorisation",
                                                    "FrugalGPT",   "random mix",
                                                    "zero router", "oracle"};

/// Everything of one evaluation.
class Evaluation {
public:
    Evaluation(const OutcomeTable& table, const models::VectorTable& vectors,
               const RouterEvaluation& how)
        : table_(table),
          vectors_(vectors),
          how_(how),
          queries_(table.complete_queries()),
          rows_(queries_.size()),
          models_(table.models.size()) {}

    [[nodiscard]] Result<void> check() const;
    [[nodiscard]] Result<RouterReport> run();

private:
    [[nodiscard]] double quality(std::size_t row, std::size_t model) const {
        return static_cast<double>(table_.models[model].quality[queries_[row]]);
    }
    [[nodiscard]] double cost(std::size_t row, std::size_t model) const {
        return in_usd(table_.models[model].cost[queries_[row]]);
    }
    void prepare();
    void play(Way way, std::size_t row, std::size_t setting, std::size_t model) {
        played_[way].set(row, setting, quality(row, model), cost(row, model));
    }
    [[nodiscard]] Result<void> one_fold(std::size_t fold);
    void play_budgets(const router::RoutePolicy& policy, Way from, Played& to,
                      std::span<const std::size_t> test);
    void play_rivals(const router::OutcomeRows& train, std::span<const std::size_t> test);
    [[nodiscard]] std::string frugal_obstacle() const;
    void play_frugal(std::vector<std::size_t> train, std::span<const std::size_t> test);
    void play_oracle();
    void play_random();
    void summarise(RouterReport& report) const;
    void tell_singles(RouterReport& report) const;
    void tell_below_zero(RouterReport& report) const;

    const OutcomeTable& table_;
    const models::VectorTable& vectors_;
    const RouterEvaluation& how_;
    std::vector<std::size_t> queries_;
    std::size_t rows_;
    std::size_t models_;
    std::vector<std::uint32_t> strata_;  // tasks, as numbers
    std::vector<std::size_t> fold_of_;
    std::vector<double> lambdas_;
    std::vector<double> budgets_;
    double cheapest_ = 0;
    double dearest_ = 0;
    std::vector<double> rates_;  // at which Leeway takes the models: settings × models
    std::array<Played, kWayCount> played_;
    Played nested_;
    Played nested_zero_;
    RouterReport report_;
    std::vector<double> decided_us_;
};

Result<void> Evaluation::check() const {
    if (auto costs = require_costs(table_); !costs) return costs;
    if (models_ < 2)
        return fail(ErrorCode::kInvalidRequest, "with one model there is nothing to route");
    if (how_.folds < 3 || rows_ < how_.folds * kLeastRowsPerFold) {
        return fail(
            ErrorCode::kInvalidRequest,
            fmt::format("{} rows in which every outcome is known, for {} parts", rows_, how_.folds),
            "3 parts or more, of 10 rows or more each, are needed");
    }
    if (vectors_.rows() != table_.queries.size())
        return fail(ErrorCode::kInvalidRequest, "there are not as many vectors as queries");
    return {};
}

void Evaluation::prepare() {
    std::map<std::string_view, std::uint32_t> tasks;
    for (const std::size_t q : queries_) {
        const auto at =
            tasks.try_emplace(table_.queries[q].task, static_cast<std::uint32_t>(tasks.size()));
        strata_.push_back(at.first->second);
    }
    const std::vector<std::int32_t> labels(strata_.begin(), strata_.end());
    fold_of_ = router::stratified_folds(labels, how_.folds, how_.seed);
    tell_singles(report_);
    cheapest_ = std::ranges::min(report_.singles, {}, &SingleFigures::cost_usd).cost_usd;
    dearest_ = std::ranges::max(report_.singles, {}, &SingleFigures::cost_usd).cost_usd;
    lambdas_ = router::lambda_ladder(dearest_, kLambdas);
    for (std::size_t b = 0; b < kBudgets; ++b)
        budgets_.push_back(cheapest_ + (dearest_ - cheapest_) * static_cast<double>(b) /
                                           static_cast<double>(kBudgets - 1));
    for (Played& one : played_) one = Played(rows_, lambdas_.size());
    report_.frugal_skipped = frugal_obstacle();
    played_[kFrugal] = Played(rows_, kFrugalBudgets);
    nested_ = Played(rows_, kBudgets);
    nested_zero_ = Played(rows_, kBudgets);
    rates_.resize(lambdas_.size() * models_);
}

void Evaluation::tell_singles(RouterReport& report) const {
    for (std::size_t m = 0; m < models_; ++m) {
        SingleFigures& one = report.singles.emplace_back();
        one.model = table_.models[m].model;
        for (std::size_t r = 0; r < rows_; ++r) {
            one.quality += quality(r, m);
            one.cost_usd += cost(r, m);
        }
        one.quality /= static_cast<double>(rows_);
        one.cost_usd /= static_cast<double>(rows_);
    }
}

/// For each budget what the settings that keep it on calibration rows got on the test rows.
void Evaluation::play_budgets(const router::RoutePolicy& policy, Way from, Played& to,
                              std::span<const std::size_t> test) {
    for (std::size_t b = 0; b < kBudgets; ++b) {
        const cascade::Mixture mix = policy.for_budget(budgets_[b]);
        for (const std::size_t r : test) {
            const auto mixed = [&](const std::vector<float>& of) {
                return mix.of([&](std::size_t setting) {
                    return static_cast<double>(of[r * lambdas_.size() + setting]);
                });
            };
            to.set(r, b, mixed(played_[from].quality), mixed(played_[from].cost));
        }
    }
}

/// The rivals choose by their own scores and the models' mean costs.
void Evaluation::play_rivals(const router::OutcomeRows& train, std::span<const std::size_t> test) {
    std::vector<float> table;
    for (std::size_t r = 0; r < train.size(); ++r)
        for (std::size_t m = 0; m < models_; ++m) table.push_back(train.models[m].quality[r]);
    std::vector<Prediction> told = router::mean_predictions(train);  // their costs stay
    MatrixFactorisation::Options options;
    options.seed = how_.seed;
    const MatrixFactorisation factors(train.vectors, train.dimension, table, models_, options);
    std::vector<float> scores(models_);
    constexpr std::size_t kNeighbours =
        5;  // the default of LLMRouter and of vLLM's semantic router
    std::vector<std::pair<float, std::size_t>> near(train.size());
    for (const std::size_t r : test) {
        const std::span<const float> vector = vectors_.row(queries_[r]);
        factors.score(vector, scores);
        for (std::size_t m = 0; m < models_; ++m) told[m].quality = scores[m];
        for (std::size_t l = 0; l < lambdas_.size(); ++l)
            play(kFactors, r, l, router::best_trade(told, lambdas_[l]));
        for (std::size_t i = 0; i < train.size(); ++i)
            near[i] = {-store::vectors::dot(train.vector(i), vector), i};
        std::nth_element(near.begin(), near.begin() + kNeighbours, near.end());
        for (std::size_t m = 0; m < models_; ++m) {
            told[m].quality = 0;
            for (std::size_t k = 0; k < kNeighbours; ++k) {
                const float one = train.models[m].quality[near[k].second];
                if (!std::isnan(one)) told[m].quality += one / kNeighbours;
            }
        }
        for (std::size_t l = 0; l < lambdas_.size(); ++l)
            play(kNeighbours5, r, l, router::best_trade(told, lambdas_[l]));
    }
}

/// It asks models in turn and goes by how sure they are of their answers: three of them, of which two tell that.
std::string Evaluation::frugal_obstacle() const {
    if (models_ < 3) return "fewer_than_three_models";
    const auto sure = std::ranges::count_if(table_.models, [&](const ModelOutcomes& model) {
        return std::ranges::any_of(queries_,
                                   [&](std::size_t q) { return model.logprob(q).has_value(); });
    });
    return sure < 2 ? "no_logprobs" : "";
}

/// FrugalGPT's chain for each budget by the training queries `train`. All calls of a chain are paid.
void Evaluation::play_frugal(std::vector<std::size_t> train, std::span<const std::size_t> test) {
    if (!report_.frugal_skipped.empty()) return;
    if (train.size() > kMostFrugalLabels) {
        std::vector<std::size_t> some;
        for (const std::size_t i : shuffled_rows(train.size(), how_.seed))
            if (some.size() < kMostFrugalLabels) some.push_back(train[i]);
        train = std::move(some);
    }
    std::vector<std::size_t> test_queries;
    for (const std::size_t r : test) test_queries.push_back(queries_[r]);
    const cascade::Labelled labels = labelled_of(table_, train);
    const cascade::Labelled outcomes = labelled_of(table_, test_queries);
    for (std::size_t b = 0; b < kFrugalBudgets; ++b) {
        const double share = static_cast<double>(b) / static_cast<double>(kFrugalBudgets - 1);
        const cascade::Policy chain =
            frugal_gpt(labels, cheapest_ + (dearest_ - cheapest_) * share);
        for (std::size_t i = 0; i < test.size(); ++i) {
            const CostQuality got = cascade::outcome(chain, outcomes, i);
            played_[kFrugal].set(test[i], b, got.quality, got.cost);
        }
    }
}

Result<void> Evaluation::one_fold(std::size_t fold) {
    std::vector<std::size_t> train_queries;
    std::vector<std::size_t> test;
    for (std::size_t r = 0; r < rows_; ++r) {
        if (fold_of_[r] == fold) {
            test.push_back(r);
        } else {
            train_queries.push_back(queries_[r]);
        }
    }
    const router::OutcomeRows learned = rows_of(table_, vectors_, train_queries);
    const auto fitted =
        router::fit_predictor(learned, {.folds = how_.folds - 1, .seed = how_.seed});
    if (!fitted) return fail(fitted.error());
    report_.weights.push_back(fitted->predictor.state().weights);
    const router::RoutePolicy policy =
        router::fit_policy(learned, fitted->held_out, lambdas_, {.sure = how_.sure});
    const router::RoutePolicy zero = router::zero_policy(learned, lambdas_);
    for (const router::RouteTrade& trade : policy.trades)
        report_.fallen_back += trade.learned ? 0 : 1;
    std::vector<Prediction> told(models_);
    for (const std::size_t r : test) {
        const std::size_t q = queries_[r];
        const auto begin = std::chrono::steady_clock::now();
        fitted->predictor.predict(vectors_.row(q), router::cues_of(table_.queries[q].text), told);
        (void)policy.choose(0, told);
        decided_us_.push_back(
            std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
                .count());
        for (std::size_t l = 0; l < lambdas_.size(); ++l) {
            const std::size_t model = policy.choose(l, told);
            rates_[l * models_ + model] += 1 / static_cast<double>(rows_);
            play(kLeeway, r, l, model);
            play(kNoFallBack, r, l, router::best_trade(told, lambdas_[l]));
            play(kZero, r, l, zero.choose(l, told));
        }
    }
    play_budgets(policy, kLeeway, nested_, test);
    play_budgets(zero, kZero, nested_zero_, test);
    play_rivals(learned, test);
    play_frugal(std::move(train_queries), test);
    return {};
}

/// Knows what came of it: the best quality − λ·cost of each query.
void Evaluation::play_oracle() {
    std::vector<Prediction> truth(models_);
    for (std::size_t r = 0; r < rows_; ++r) {
        for (std::size_t m = 0; m < models_; ++m) {
            truth[m].quality = static_cast<float>(quality(r, m));
            truth[m].cost = table_.models[m].cost[queries_[r]];
        }
        for (std::size_t l = 0; l < lambdas_.size(); ++l)
            play(kOracle, r, l, router::best_trade(truth, lambdas_[l]));
    }
}

/// Models at the rates at which Leeway takes them, but whatever the query is: the mean over that draw.
void Evaluation::play_random() {
    for (std::size_t l = 0; l < lambdas_.size(); ++l) {
        const auto rates = std::span(rates_).subspan(l * models_, models_);
        for (std::size_t r = 0; r < rows_; ++r) {
            double got = 0;
            double spent = 0;
            for (std::size_t m = 0; m < models_; ++m) {
                got += rates[m] * quality(r, m);
                spent += rates[m] * cost(r, m);
            }
            played_[kRandom].set(r, l, got, spent);
        }
    }
}

/// Figures of one (re)sample.
struct Sample {
    std::array<double, kWayCount> areas{};
    double nested = 0;
    double nested_zero = 0;
    double at_20 = 0;
    double at_50 = 0;
    [[nodiscard]] double gap(double area, double zero) const {
        const double gap = areas[kOracle] - zero;
        return gap > kRounding ? (area - zero) / gap : std::numeric_limits<double>::quiet_NaN();
    }
};

void Evaluation::tell_below_zero(RouterReport& report) const {
    const std::vector<std::uint32_t> once(rows_, 1);
    const auto zero = mean_points(played_[kZero], once);
    for (const Way w : {kLeeway, kNoFallBack, kNeighbours5}) {
        const auto points = mean_points(played_[w], once);
        RouterFigures& to = report.methods[w];
        to.knows_quality = true;
        for (std::size_t l = 0; l < lambdas_.size(); ++l) {
            // Quality and price together are of the order of 1 + λ·cost.
            const double more = (points[l].quality - zero[l].quality -
                                 lambdas_[l] * (points[l].cost - zero[l].cost)) /
                                (1 + lambdas_[l] * dearest_);
            to.worst = std::min(to.worst, more);
            to.below_zero += more < -kRounding ? 1 : 0;
        }
    }
    report.below_zero = report.methods[kLeeway].below_zero;
}

void Evaluation::summarise(RouterReport& report) const {
    const auto sample_of = [&](std::span<const std::uint32_t> weights) {
        Sample out;
        for (std::size_t w = 0; w < kWayCount; ++w)
            out.areas[w] =
                area_under(hull_of(mean_points(played_[w], weights)), cheapest_, dearest_);
        const auto nested = by_cost(mean_points(nested_, weights));
        const auto zero = by_cost(mean_points(nested_zero_, weights));
        out.nested = area_under(nested, cheapest_, dearest_);
        out.nested_zero = area_under(zero, cheapest_, dearest_);
        out.at_20 = quality_at(nested, 0.2 * dearest_) - quality_at(zero, 0.2 * dearest_);
        out.at_50 = quality_at(nested, 0.5 * dearest_) - quality_at(zero, 0.5 * dearest_);
        return out;
    };
    const std::vector<std::uint32_t> once(rows_, 1);
    const Sample all = sample_of(once);
    std::array<std::vector<double>, kWayCount> gaps;
    std::vector<double> nested;
    std::vector<double> at_20;
    std::vector<double> at_50;
    resample(strata_, how_.resamples, how_.seed, [&](std::span<const std::uint32_t> weights) {
        const Sample one = sample_of(weights);
        for (std::size_t w = 0; w < kWayCount; ++w)
            gaps[w].push_back(one.gap(one.areas[w], one.areas[kZero]));
        nested.push_back(one.gap(one.nested, one.nested_zero));
        at_20.push_back(one.at_20);
        at_50.push_back(one.at_50);
        if (how_.progress && nested.size() % 20 == 0)
            how_.progress(0.6 + 0.4 * static_cast<double>(nested.size()) /
                                    static_cast<double>(how_.resamples));
    });
    for (std::size_t w = 0; w <= kRandom; ++w) {
        if (w == kFrugal && !report.frugal_skipped.empty()) continue;
        RouterFigures& to = report.methods.emplace_back();
        to.name = kNames[w];
        to.area = all.areas[w];
        to.gap_recovered = estimate_of(all.gap(all.areas[w], all.areas[kZero]), gaps[w]);
        to.hull = hull_of(mean_points(played_[w], once));
    }
    report.zero_area = all.areas[kZero];
    report.oracle_area = all.areas[kOracle];
    report.oracle_hull = hull_of(mean_points(played_[kOracle], once));
    report.nested_area = all.nested;
    report.nested_zero_area = all.nested_zero;
    report.gap_recovered = estimate_of(all.gap(all.nested, all.nested_zero), std::move(nested));
    report.gain_at_20 = estimate_of(all.at_20, std::move(at_20));
    report.gain_at_50 = estimate_of(all.at_50, std::move(at_50));
    report.curve = by_cost(mean_points(nested_, once));
    report.zero_curve = by_cost(mean_points(nested_zero_, once));
    if (report.frugal_skipped.empty())
        report.frugal_curve = by_cost(mean_points(played_[kFrugal], once));
    const double best = std::ranges::max(report.singles, {}, &SingleFigures::quality).quality;
    report.cost_ratio = dearest_ > 0 ? cost_for(report.curve, best - 0.01) / dearest_ : 0;
}

Result<RouterReport> Evaluation::run() {
    prepare();
    for (std::size_t fold = 0; fold < how_.folds; ++fold) {
        if (auto done = one_fold(fold); !done) return fail(std::move(done.error()));
        if (how_.progress)
            how_.progress(0.6 * static_cast<double>(fold + 1) / static_cast<double>(how_.folds));
    }
    play_oracle();
    play_random();
    report_.n = rows_;
    report_.incomplete = table_.queries.size() - rows_;
    report_.lambdas = lambdas_.size();
    // The mean would tell of whoever else wants the processor.
    const auto middle = decided_us_.begin() + static_cast<std::ptrdiff_t>(rows_ / 2);
    std::nth_element(decided_us_.begin(), middle, decided_us_.end());
    report_.decide_us = *middle;
    summarise(report_);
    tell_below_zero(report_);
    return std::move(report_);
}

}  // namespace

router::OutcomeRows rows_of(const OutcomeTable& table, const models::VectorTable& vectors,
                            std::span<const std::size_t> queries) {
    router::OutcomeRows out;
    out.dimension = vectors.dimension;
    out.vectors.reserve(queries.size() * vectors.dimension);
    for (const std::size_t q : queries) {
        const std::span<const float> row = vectors.row(q);
        out.vectors.insert(out.vectors.end(), row.begin(), row.end());
        out.cues.push_back(router::cues_of(table.queries[q].text));
    }
    for (const ModelOutcomes& one : table.models) {
        router::ModelRecord& record = out.models.emplace_back();
        record.model = one.model;
        for (const std::size_t q : queries) {
            record.quality.push_back(one.known(q) ? one.quality[q]
                                                  : std::numeric_limits<float>::quiet_NaN());
            record.cost.push_back(one.cost[q]);
            record.tokens_out.push_back(one.tokens_out[q]);
        }
    }
    return out;
}

Result<RouterReport> evaluate_router(const OutcomeTable& table, const models::VectorTable& vectors,
                                     const RouterEvaluation& how) {
    Evaluation evaluation(table, vectors, how);
    if (auto ok = evaluation.check(); !ok) return fail(std::move(ok.error()));
    return evaluation.run();
}

}  // namespace leeway::lab
