#include "lab/evaluate/routes_tune.hpp"

#include "methods/router/semantic/calibration.hpp"
#include "methods/router/semantic/folds.hpp"
#include "methods/router/semantic/thresholds.hpp"
#include "methods/router/semantic/words.hpp"

#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_set>
#include <utility>

namespace leeway::lab {
namespace {

using router::RouteCosts;
using router::ScoredRows;
using router::ScoreParts;
using router::Scorer;
using router::Scoring;

constexpr std::array kAlphas{1.0, 0.8, 0.6};
constexpr std::array kHeads{0.0, 0.3, 0.5, 0.7};
// A threshold of its own must at least save one row and a half: one alone is chance.
constexpr double kLeastRows = 1.5;

/// The parts of every row's scores, by scorers that did not have the row among their examples.
struct OutOfFold {
    std::vector<std::vector<ScoreParts>> parts;
    std::vector<bool> has_head;
    std::vector<std::int32_t> labels;

    [[nodiscard]] ScoredRows mixed(const Scoring& scoring) const {
        ScoredRows out;
        out.routes = parts.empty() ? 0 : parts.front().size() - 1;
        for (std::size_t i = 0; i < parts.size(); ++i)
            out.add(router::route_scores(parts[i], scoring, has_head[i]), labels[i]);
        return out;
    }
};

class Tuner {
public:
    Tuner(const router::RouteSet& set, const models::VectorTable& base, const LabelledRows& rows,
          const RouteTuning& tuning)
        : set_(set), base_(base), rows_(rows), tuning_(tuning) {
        for (std::size_t r = 0; r < set.routes.size(); ++r)
            add_own(set.routes[r].utterances, static_cast<std::uint32_t>(r));
        add_own(set.rejected, static_cast<std::uint32_t>(set.routes.size()));
        for (const auto& row : rows.rows) {
            const auto route = set.find(row.route);
            labels_.push_back(route ? static_cast<std::int32_t>(*route) : ScoredRows::kNone);
        }
        folds_ = router::stratified_folds(labels_, tuning.folds, tuning.seed);
    }

    router::FittedRoutes fit() const {
        const OutOfFold held_out = parts_of_rows();
        router::FittedRoutes out;
        out.scoring = best_weights(held_out);
        const ScoredRows scored = held_out.mixed(out.scoring);
        const double common = router::common_threshold(scored, set_.costs);
        out.thresholds = own_thresholds_pay(scored)
                             ? router::route_thresholds(scored, set_.costs, common, least_gain())
                             : std::vector<double>(scored.routes, common);
        out.temperature = router::fit_temperature(scored, out.thresholds);
        if (tuning_.learn_examples) out.examples = rows_.rows;
        return out;
    }

private:
    void add_own(const std::vector<std::string>& texts, std::uint32_t class_index) {
        for (const std::string& text : texts) {
            own_.push_back({text, class_index, base_.row(own_.size())});
        }
    }
    [[nodiscard]] double least_gain() const {
        const RouteCosts& c = set_.costs;
        return kLeastRows * std::max({c.wrong_accept, c.wrong_reject, c.wrong_route});
    }
    [[nodiscard]] Scorer scorer_without(std::size_t fold) const {
        std::vector<router::Example> examples = own_;
        for (std::size_t i = 0; tuning_.learn_examples && i < labels_.size(); ++i) {
            if (folds_[i] == fold) continue;
            const bool none = labels_[i] == ScoredRows::kNone;
            const auto index = none ? set_.routes.size() : static_cast<std::size_t>(labels_[i]);
            examples.push_back(
                {rows_.rows[i].text, static_cast<std::uint32_t>(index), rows_.vectors.row(i)});
        }
        return {examples, set_.routes.size() + 1, base_.dimension, set_.scoring};
    }
    [[nodiscard]] OutOfFold parts_of_rows() const {
        OutOfFold out;
        out.labels = labels_;
        out.parts.resize(labels_.size());
        out.has_head.resize(labels_.size());
        // Without examples of their own all folds have the same scorer.
        const std::size_t scorers = tuning_.learn_examples ? tuning_.folds : 1;
        for (std::size_t fold = 0; fold < scorers; ++fold) {
            const Scorer scorer = scorer_without(fold);
            for (std::size_t i = 0; i < labels_.size(); ++i) {
                if (scorers > 1 && folds_[i] != fold) continue;
                out.parts[i] = scorer.parts(rows_.rows[i].text, rows_.vectors.row(i));
                out.has_head[i] = scorer.has_head();
            }
        }
        return out;
    }

    /// The weights with the least cost; those of the file where none is better by a standard error.
    [[nodiscard]] Scoring best_weights(const OutOfFold& held_out) const {
        const auto cost = [&](const Scoring& scoring) {
            const ScoredRows scored = held_out.mixed(scoring);
            const std::vector<double> thresholds(scored.routes,
                                                 router::common_threshold(scored, set_.costs));
            return router::mean_cost(scored, thresholds, set_.costs);
        };
        const double of_file = cost(set_.scoring);
        Scoring best = set_.scoring;
        double least = of_file;
        for (const double head : kHeads) {
            for (const double alpha : kAlphas) {
                Scoring one = set_.scoring;
                one.head = head;
                one.alpha = alpha;
                const double its = cost(one);
                if (its >= least) continue;
                least = its;
                best = one;
            }
        }
        const double n = static_cast<double>(labels_.size());
        const double error = std::sqrt(std::max(0.0, of_file * (1 - of_file)) / n);
        return of_file - least > error ? best : set_.scoring;
    }

    /// Whether thresholds for each route do better than one for all on rows that they were not fitted to.
    [[nodiscard]] bool own_thresholds_pay(const ScoredRows& scored) const {
        double with = 0;
        double without = 0;
        for (std::size_t fold = 0; fold < tuning_.folds; ++fold) {
            ScoredRows fitting;
            ScoredRows testing;
            fitting.routes = testing.routes = scored.routes;
            for (std::size_t i = 0; i < scored.size(); ++i)
                (folds_[i] == fold ? testing : fitting).add(scored.row(i), scored.labels[i]);
            const double common = router::common_threshold(fitting, set_.costs);
            const std::vector<double> same(scored.routes, common);
            const std::vector<double> own =
                router::route_thresholds(fitting, set_.costs, common, least_gain());
            const auto share = static_cast<double>(testing.size());
            without += share * router::mean_cost(testing, same, set_.costs);
            with += share * router::mean_cost(testing, own, set_.costs);
        }
        return with < without;
    }

    const router::RouteSet& set_;
    const models::VectorTable& base_;
    const LabelledRows& rows_;
    const RouteTuning& tuning_;
    std::vector<router::Example> own_;
    std::vector<std::int32_t> labels_;
    std::vector<std::size_t> folds_;
};

LabelledRows unseen_of(const router::RouteSet& set, const LabelledRows& rows) {
    const std::vector<bool> seen = seen_rows(set, rows);
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (!seen[i]) places.push_back(i);
    return rows_at(rows, places);
}

Result<router::FittedRoutes> tune_unseen(const router::RouteSet& set,
                                         const models::EmbeddingModel& model,
                                         const models::VectorTable& base, const LabelledRows& rows,
                                         const RouteTuning& tuning) {
    if (tuning.folds < 2) return fail(ErrorCode::kConfig, "fitting needs at least two folds");
    if (rows.rows.empty()) {
        return fail(ErrorCode::kConfig, "there is no labelled row to fit to",
                    "rows that are an utterance word for word do not count");
    }
    router::FittedRoutes out = Tuner(set, base, rows, tuning).fit();
    out.model = model.name;
    out.fingerprint = model.fingerprint;
    out.rows = rows.rows.size();
    out.folds = tuning.folds;
    out.seed = tuning.seed;
    return out;
}

}  // namespace

std::vector<bool> seen_rows(const router::RouteSet& set, const LabelledRows& rows) {
    std::unordered_set<std::string> own;
    for (const auto& route : set.routes)
        for (const std::string& text : route.utterances) own.insert(router::folded(text));
    for (const std::string& text : set.rejected) own.insert(router::folded(text));
    std::vector<bool> out;
    for (const auto& row : rows.rows) {
        const std::string as_words = router::folded(row.text);
        out.push_back(as_words.size() > 1 && own.contains(as_words));
    }
    return out;
}

LabelledRows rows_at(const LabelledRows& rows, std::span<const std::size_t> places) {
    LabelledRows out;
    out.vectors.dimension = rows.vectors.dimension;
    for (const std::size_t place : places) {
        out.rows.push_back(rows.rows[place]);
        const auto vector = rows.vectors.row(place);
        out.vectors.values.insert(out.vectors.values.end(), vector.begin(), vector.end());
    }
    return out;
}

Result<router::FittedRoutes> tune_routes(const router::RouteSet& set,
                                         const models::EmbeddingModel& model,
                                         const models::VectorTable& base, const LabelledRows& rows,
                                         const RouteTuning& tuning) {
    return tune_unseen(set, model, base, unseen_of(set, rows), tuning);
}

Result<FittedSet> fit_set(const router::RouteSet& set, const models::EmbeddingModel& model,
                          const models::VectorTable& base, const LabelledRows& rows,
                          const RouteTuning& tuning) {
    const LabelledRows unseen = unseen_of(set, rows);
    auto fitted = tune_unseen(set, model, base, unseen, tuning);
    if (!fitted) return fail(std::move(fitted.error()));
    FittedSet out{set, base};
    if (!fitted->examples.empty())
        out.vectors.values.insert(out.vectors.values.end(), unseen.vectors.values.begin(),
                                  unseen.vectors.values.end());
    out.set.fitted = std::move(*fitted);
    return out;
}

}  // namespace leeway::lab
