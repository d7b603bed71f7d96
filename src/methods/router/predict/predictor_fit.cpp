#include "methods/router/predict/outcome_predictor.hpp"
#include "methods/router/predict/ways.hpp"
#include "methods/router/semantic/folds.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

namespace leeway::router {
namespace {

// Penalties that are tried; the vectors are of unit length, so they are rows' worth.
constexpr std::array kPenalties{3.0, 10.0, 30.0, 100.0};
constexpr std::size_t kMostClusters = 40;
constexpr std::size_t kRowsPerCluster = 25;  // fewer say too little about a model
constexpr std::size_t kLeastRows = 40;  // below it there is nothing to validate on: means only
// Of a model the regression has three targets.
constexpr std::size_t kTargets = 3;
constexpr std::size_t kQuality = 0;
constexpr std::size_t kLogCost = 1;
constexpr std::size_t kLogLength = 2;

double log_of(double value) { return std::log(std::max(value, 1.0)); }

void set_targets(const ModelRecord& record, std::size_t row, std::span<double> to) {
    to[kQuality] = static_cast<double>(record.quality[row]);
    to[kLogCost] = log_of(static_cast<double>(record.cost[row].value()));
    to[kLogLength] = log_of(record.tokens_out[row]);
}

bool known(const ModelRecord& record, std::size_t row) { return !std::isnan(record.quality[row]); }

/// Gives a model its regressions out of a map that has its targets from `first` on.
void set_maps(const LinearMap& map, std::size_t first, LearnedModel& learned) {
    const std::size_t features = map.weights.size() / map.offsets.size();
    const auto one = [&](std::size_t target) {
        const auto begin =
            map.weights.begin() + static_cast<std::ptrdiff_t>((first + target) * features);
        return LinearMap{{begin, begin + static_cast<std::ptrdiff_t>(features)},
                         {map.offsets[first + target]}};
    };
    learned.quality = one(kQuality);
    learned.log_cost = one(kLogCost);
    learned.log_length = one(kLogLength);
}

/// Sums of a model over the rows of a cluster.
struct Cell {
    double sum = 0;
    double rows = 0;
    void add(double quality) {
        sum += quality;
        rows += 1;
    }
    [[nodiscard]] float mean(double prior_mean, double prior) const {
        return static_cast<float>((sum + prior * prior_mean) / (rows + prior));
    }
};
std::vector<float> table_of(std::span<const Cell> cells, double mean) {
    std::vector<float> out;
    for (const Cell& cell : cells) out.push_back(cell.mean(mean, static_cast<double>(kPriorRows)));
    return out;
}

/// What is right in the mean: Σ true / Σ exp(log), and whether that is nearer to the truth than the mean is.
struct LogFit {
    double truth = 0;
    double truth_squares = 0;
    double predicted = 0;
    double products = 0;
    double predicted_squares = 0;
    double rows = 0;
    void add(double value, double log_predicted) {
        const double p = std::exp(std::min(log_predicted, 60.0));
        truth += value;
        truth_squares += value * value;
        predicted += p;
        products += p * value;
        predicted_squares += p * p;
        rows += 1;
    }
    [[nodiscard]] double factor() const { return predicted > 0 ? truth / predicted : 0; }
    [[nodiscard]] bool better_than_mean() const {
        const double f = factor();
        const double loss = truth_squares - 2 * f * products + f * f * predicted_squares;
        return loss < truth_squares - truth * truth / std::max(rows, 1.0);
    }
};

bool length_known(const ModelRecord& record) {
    for (std::size_t r = 0; r < record.quality.size(); ++r)
        if (known(record, r) && record.tokens_out[r] < 0) return false;
    return true;
}

bool cost_is_constant(const ModelRecord& record) {
    std::optional<PicoUsd> first;
    for (std::size_t r = 0; r < record.quality.size(); ++r) {
        if (!known(record, r)) continue;
        if (!first) first = record.cost[r];
        if (record.cost[r] != *first) return false;
    }
    return true;
}

/// Which of cost and length can be told from a query.
void set_logs(const ModelRecord& record, const LogFit& cost, const LogFit& length,
              LearnedModel& learned) {
    learned.cost_varies = !cost_is_constant(record) && cost.better_than_mean();
    learned.cost_factor = static_cast<float>(cost.factor());
    learned.knows_length = length_known(record);
    learned.length_factor = static_cast<float>(length.factor());
}

/// Rows, mean quality without shrinkage and mean cost.
void learn_means(const ModelRecord& record, LearnedModel& learned) {
    learned.model = record.model;
    double quality = 0;
    PicoUsdSum cost;
    for (std::size_t r = 0; r < record.quality.size(); ++r) {
        if (!known(record, r)) continue;
        ++learned.rows;
        quality += static_cast<double>(record.quality[r]);
        cost.add(record.cost[r]);
    }
    if (learned.rows == 0) return;
    const auto rows = static_cast<double>(learned.rows);
    learned.mean_quality = static_cast<float>(quality / rows);
    learned.mean_cost =
        PicoUsd(static_cast<std::int64_t>(cost.value() / static_cast<Int128>(learned.rows)));
}

float shrunk_mean(const LearnedModel& learned, double of_all) {
    const auto rows = static_cast<double>(learned.rows);
    return static_cast<float>(
        (static_cast<double>(learned.mean_quality) * rows + kPriorModelRows * of_all) /
        (rows + kPriorModelRows));
}

/// Whether `models`, which are records of `rows`, can be learned.
Result<void> check(const OutcomeRows& rows, std::span<const ModelRecord> models) {
    if (rows.size() == 0 || models.empty())
        return fail(ErrorCode::kInvalidRequest, "there is nothing to learn from");
    if (rows.vectors.size() != rows.size() * rows.dimension || rows.dimension == 0)
        return fail(ErrorCode::kInvalidRequest, "there are not as many vectors as queries");
    for (const ModelRecord& one : models) {
        if (one.quality.size() != rows.size() || one.cost.size() != rows.size() ||
            one.tokens_out.size() != rows.size())
            return fail(ErrorCode::kInvalidRequest, "a record is not as long as there are queries");
        bool some = false;
        for (std::size_t r = 0; r < rows.size() && !some; ++r) some = known(one, r);
        if (!some) {
            return fail(ErrorCode::kInvalidRequest,
                        fmt::format("no outcome of '{}' is known", one.model));
        }
    }
    return {};
}

void set_cue_scales(const OutcomeRows& rows, PredictorState& state) {
    const auto n = static_cast<double>(rows.size());
    for (std::size_t c = 0; c < kCues; ++c) {
        double sum = 0;
        double squares = 0;
        for (const TextCues& cues : rows.cues) {
            sum += static_cast<double>(cues[c]);
            squares += static_cast<double>(cues[c]) * static_cast<double>(cues[c]);
        }
        const double variance = std::max(0.0, squares / n - sum / n * (sum / n));
        state.cue_means[c] = static_cast<float>(sum / n);
        // A cue that all rows share tells nothing, and must not explode on a row that differs.
        state.cue_scales[c] = variance > 1e-9 ? static_cast<float>(1 / std::sqrt(variance)) : 0.0F;
    }
}

}  // namespace

/// Fits to some rows: the cross-validation first, then all.
class PredictorFit {
public:
    PredictorFit(const OutcomeRows& rows, const PredictorFitting& how)
        : rows_(rows), how_(how), models_(rows.models.size()) {}
    FittedPredictor run() &&;

private:
    struct Moments {  // of one group
        std::vector<RidgeMoments> by_fold;
        RidgeMoments all;
    };

    void prepare();
    void deal_folds();
    void sum_moments();
    [[nodiscard]] double predict_linear(double penalty, std::vector<float>& out) const;
    void choose_penalty();
    void hold_out_rest();
    void learn_all();
    void learn_logs(std::size_t model);
    [[nodiscard]] std::vector<Prediction> held_out() const;
    [[nodiscard]] std::size_t at(std::size_t row, std::size_t model) const {
        return row * models_ + model;
    }

    const OutcomeRows& rows_;
    const PredictorFitting& how_;
    std::size_t models_;
    std::size_t features_ = 0;
    std::size_t folds_ = 0;
    PredictorState state_;
    KnownGroups groups_;
    std::vector<std::size_t> fold_of_;
    std::vector<AskedQuery> asked_;
    std::vector<std::uint32_t> cluster_of_;
    std::vector<Moments> moments_;  // by group
    std::vector<std::vector<std::size_t>> members_;  // models of a group
    // Held out: rows × models.
    std::vector<float> linear_;  // × kTargets
    std::vector<float> near_;
    std::vector<float> table_;
    std::vector<float> means_;
};

void PredictorFit::prepare() {
    state_.dimension = rows_.dimension;
    features_ = rows_.dimension + kCues;
    set_cue_scales(rows_, state_);
    state_.clusters = find_clusters(
        rows_.vectors, rows_.dimension,
        std::clamp<std::size_t>(rows_.size() / kRowsPerCluster, 1, kMostClusters), how_.seed);
    state_.bank.dimension = rows_.dimension;
    state_.bank.cells.resize(state_.clusters.size());
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        asked_.push_back(look_at(state_, rows_.vector(r), rows_.cues[r]));
        cluster_of_.push_back(asked_.back().order.front());
        state_.bank.add(rows_.vector(r), cluster_of_.back());
    }
    double of_all = 0;
    for (const ModelRecord& record : rows_.models) {
        LearnedModel& learned = state_.models.emplace_back();
        learn_means(record, learned);
        learned.by_row = record.quality;
        of_all += static_cast<double>(learned.mean_quality) / static_cast<double>(models_);
    }
    for (LearnedModel& learned : state_.models) learned.mean_quality = shrunk_mean(learned, of_all);
    groups_ = groups_of(state_);
    members_.resize(groups_.size());
    for (std::size_t m = 0; m < models_; ++m) members_[groups_.group_of[m]].push_back(m);
}

void PredictorFit::deal_folds() {
    folds_ = std::clamp<std::size_t>(how_.folds, 2, rows_.size());
    const std::vector<std::int32_t> labels(cluster_of_.begin(), cluster_of_.end());
    fold_of_ = stratified_folds(labels, folds_, how_.seed);
}

void PredictorFit::sum_moments() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        const std::vector<std::size_t>& members = members_[g];
        std::vector<RidgeMoments> sums(folds_, RidgeMoments(features_, kTargets * members.size()));
        std::vector<double> targets(kTargets * members.size());
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            if (!groups_.known[g][r]) continue;
            for (std::size_t i = 0; i < members.size(); ++i)
                set_targets(rows_.models[members[i]], r,
                            std::span(targets).subspan(i * kTargets, kTargets));
            sums[fold_of_[r]].add(asked_[r].features, targets);
        }
        for (RidgeMoments& one : sums) one.finish();
        RidgeMoments all = sums.front();
        for (std::size_t f = 1; f < folds_; ++f) all.add(sums[f], 1);
        moments_.push_back({std::move(sums), std::move(all)});
    }
}

/// Each row by the regression over the other folds, into `out`; returns the squared loss of the qualities.
double PredictorFit::predict_linear(double penalty, std::vector<float>& out) const {
    out.assign(rows_.size() * models_ * kTargets, 0);
    double loss = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        for (std::size_t f = 0; f < folds_; ++f) {
            RidgeMoments rest = moments_[g].all;
            rest.add(moments_[g].by_fold[f], -1);
            const LinearMap map = rest.solve(penalty);
            for (std::size_t r = 0; r < rows_.size(); ++r) {
                if (fold_of_[r] != f) continue;
                for (std::size_t i = 0; i < members_[g].size(); ++i) {
                    const std::size_t m = members_[g][i];
                    float* const to = out.data() + at(r, m) * kTargets;
                    for (std::size_t t = 0; t < kTargets; ++t)
                        to[t] = map.at(i * kTargets + t, asked_[r].features);
                    if (!known(rows_.models[m], r)) continue;
                    const double off =
                        static_cast<double>(to[kQuality] - rows_.models[m].quality[r]);
                    loss += off * off;
                }
            }
        }
    }
    return loss;
}

void PredictorFit::choose_penalty() {
    double least = std::numeric_limits<double>::infinity();
    std::vector<float> tried;
    for (const double penalty : kPenalties) {
        const double loss = predict_linear(penalty, tried);
        if (loss >= least) continue;
        least = loss;
        state_.penalty = penalty;
        linear_.swap(tried);
    }
}

/// Means, tables and neighbours without the row's own fold.
void PredictorFit::hold_out_rest() {
    const std::size_t clusters = state_.clusters.size();
    std::vector<std::vector<Cell>> cells(folds_ * models_, std::vector<Cell>(clusters));
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        for (std::size_t m = 0; m < models_; ++m) {
            if (!known(rows_.models[m], r)) continue;
            for (std::size_t f = 0; f < folds_; ++f) {
                if (f != fold_of_[r])
                    cells[f * models_ + m][cluster_of_[r]].add(
                        static_cast<double>(rows_.models[m].quality[r]));
            }
        }
    }
    std::vector<float> means(folds_ * models_);
    std::vector<std::vector<float>> tables(folds_ * models_);
    for (std::size_t i = 0; i < tables.size(); ++i) {
        Cell all;
        for (const Cell& cell : cells[i]) {
            all.sum += cell.sum;
            all.rows += cell.rows;
        }
        means[i] =
            all.mean(static_cast<double>(state_.models[i % models_].mean_quality), kPriorModelRows);
        tables[i] = table_of(cells[i], static_cast<double>(means[i]));
    }
    near_.resize(rows_.size() * models_);
    table_.resize(near_.size());
    means_.resize(near_.size());
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        const std::size_t fold = fold_of_[r];
        const std::span<float> near = std::span(near_).subspan(at(r, 0), models_);
        const std::span<const float> of_fold = std::span(means).subspan(fold * models_, models_);
        neighbour_values(
            state_, groups_, asked_[r], of_fold,
            [&](std::uint32_t row) { return fold_of_[row] != fold; }, near);
        for (std::size_t m = 0; m < models_; ++m) {
            means_[at(r, m)] = of_fold[m];
            table_[at(r, m)] = table_value(asked_[r], tables[fold * models_ + m]);
        }
    }
}

void PredictorFit::learn_logs(std::size_t model) {
    const ModelRecord& record = rows_.models[model];
    LearnedModel& learned = state_.models[model];
    LogFit cost;
    LogFit length;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        if (!known(record, r)) continue;
        const float* const logs = linear_.data() + at(r, model) * kTargets;
        cost.add(static_cast<double>(record.cost[r].value()), static_cast<double>(logs[kLogCost]));
        length.add(record.tokens_out[r], static_cast<double>(logs[kLogLength]));
    }
    set_logs(record, cost, length, learned);
}

void PredictorFit::learn_all() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        const LinearMap map = moments_[g].all.solve(state_.penalty);
        for (std::size_t i = 0; i < members_[g].size(); ++i)
            set_maps(map, i * kTargets, state_.models[members_[g][i]]);
    }
    for (std::size_t m = 0; m < models_; ++m) {
        std::vector<Cell> cells(state_.clusters.size());
        for (std::size_t r = 0; r < rows_.size(); ++r)
            if (known(rows_.models[m], r))
                cells[cluster_of_[r]].add(static_cast<double>(rows_.models[m].quality[r]));
        state_.models[m].by_cluster =
            table_of(cells, static_cast<double>(state_.models[m].mean_quality));
        learn_logs(m);
    }
    if (rows_.size() < kLeastRows) return;  // the weights stay 0: nothing but means
    Stacker stacker;
    std::array<std::vector<float>, kWays> ways;
    std::vector<float> truth;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        for (auto& way : ways) way.clear();
        truth.clear();
        for (std::size_t m = 0; m < models_; ++m) {
            if (!known(rows_.models[m], r)) continue;
            const float mean = means_[at(r, m)];
            ways[0].push_back(linear_[at(r, m) * kTargets + kQuality] - mean);
            ways[1].push_back(near_[at(r, m)] - mean);
            ways[2].push_back(table_[at(r, m)] - mean);
            truth.push_back(rows_.models[m].quality[r] - mean);
        }
        if (!truth.empty()) stacker.add({ways[0], ways[1], ways[2]}, truth);
    }
    state_.weights = stacker.weights();
}

std::vector<Prediction> PredictorFit::held_out() const {
    std::vector<Prediction> out(rows_.size() * models_);
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        for (std::size_t m = 0; m < models_; ++m) {
            const LearnedModel& model = state_.models[m];
            const std::size_t i = at(r, m);
            const float* const linear = linear_.data() + i * kTargets;
            out[i].quality =
                stacked(state_.weights, means_[i], {linear[kQuality], near_[i], table_[i]});
            set_cost_and_length(
                model, [&] { return linear[kLogCost]; }, [&] { return linear[kLogLength]; },
                out[i]);
        }
    }
    return out;
}

FittedPredictor PredictorFit::run() && {
    prepare();
    deal_folds();
    sum_moments();
    choose_penalty();
    hold_out_rest();
    learn_all();
    std::vector<Prediction> predictions = held_out();
    return {OutcomePredictor(std::move(state_)), std::move(predictions)};
}

Result<void> learn_model(const PredictorState& state, const OutcomeRows& rows, std::size_t record,
                         LearnedModel& learned) {
    const ModelRecord& of = rows.models[record];
    if (auto ok = check(rows, std::span(&of, 1)); !ok) return ok;
    double of_all = 0;
    for (const LearnedModel& one : state.models)
        of_all += static_cast<double>(one.mean_quality) / static_cast<double>(state.models.size());
    learn_means(of, learned);
    learned.mean_quality = shrunk_mean(learned, of_all);
    const std::size_t features = state.dimension + kCues;
    // Each half is predicted by the other, which tells whether costs can be told from queries.
    std::array<RidgeMoments, 2> halves{RidgeMoments(features, kTargets),
                                       RidgeMoments(features, kTargets)};
    std::vector<Cell> cells(state.clusters.size());
    std::array<double, kTargets> targets{};
    std::vector<AskedQuery> asked(rows.size());
    for (std::size_t r = 0; r < rows.size(); ++r) {
        if (!known(of, r)) continue;
        asked[r] = look_at(state, rows.vector(r), rows.cues[r]);
        set_targets(of, r, targets);
        halves[r % 2].add(asked[r].features, targets);
        cells[asked[r].order.front()].add(targets[kQuality]);
    }
    for (RidgeMoments& half : halves) half.finish();
    const std::array<LinearMap, 2> others{halves[1].solve(state.penalty),
                                          halves[0].solve(state.penalty)};
    LogFit cost;
    LogFit length;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        if (!known(of, r)) continue;
        const LinearMap& other = others[r % 2];
        cost.add(static_cast<double>(of.cost[r].value()),
                 static_cast<double>(other.at(kLogCost, asked[r].features)));
        length.add(of.tokens_out[r], static_cast<double>(other.at(kLogLength, asked[r].features)));
    }
    halves[0].add(halves[1], 1);
    const LinearMap map = halves[0].solve(state.penalty);
    set_maps(map, 0, learned);
    learned.by_cluster = table_of(cells, static_cast<double>(learned.mean_quality));
    set_logs(of, cost, length, learned);
    return {};
}

Result<FittedPredictor> fit_predictor(const OutcomeRows& rows, const PredictorFitting& how) {
    if (auto ok = check(rows, rows.models); !ok) return fail(std::move(ok.error()));
    return PredictorFit(rows, how).run();
}

}  // namespace leeway::router
