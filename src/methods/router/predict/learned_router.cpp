#include "methods/router/predict/learned_router.hpp"

#include "methods/router/predict/text_cues.hpp"

#include <utility>

namespace leeway::router {

LearnedRouter::LearnedRouter(RouterFile file, const Spending& spending)
    : fingerprint_(std::move(file.fingerprint)),
      embedding_model_(std::move(file.embedding_model)),
      seal_(std::move(file.seal)),
      evidence_(std::move(file.evidence)),
      policy_(std::move(file.policy)),
      spending_(spending),
      predictor_(std::move(file.state)) {
    for (const LearnedModel& model : predictor_.state().models)
        means_.push_back({.quality = model.mean_quality, .cost = model.mean_cost});
    points_ = policy_.points();
    hull_ = cascade::upper_hull(points_);
    if (spending_.budget_usd) {
        mixture_ = cascade::mixture_at(points_, hull_, *spending_.budget_usd);
        return;
    }
    // The last one at which money costs no more.
    std::size_t trade = 0;
    while (trade + 1 < policy_.trades.size() &&
           policy_.trades[trade + 1].lambda <= spending_.lambda)
        ++trade;
    mixture_ = {trade, trade, 0};
}

std::size_t LearnedRouter::trade_at(double draw) const noexcept {
    return draw < mixture_.share ? mixture_.second : mixture_.first;
}

std::size_t LearnedRouter::trade_for(double lambda) const noexcept {
    return hull_[cascade::best_at(points_, hull_, lambda)];
}

cascade::Pacer LearnedRouter::pacer() const noexcept {
    return cascade::pacer_for(points_, hull_, spending_.budget_usd.value_or(1));
}

std::vector<Prediction> LearnedRouter::predict(std::span<const float> vector,
                                               std::string_view text) const {
    return predict(vector, cues_of(text));
}

std::vector<Prediction> LearnedRouter::predict(std::span<const float> vector,
                                               const TextCues& cues) const {
    std::vector<Prediction> out(models());
    predictor_.predict(vector, cues, out);
    return out;
}

std::size_t LearnedRouter::choose(std::size_t trade, std::span<const Prediction> predictions,
                                  ModelSet eligible) const noexcept {
    return policy_.choose_among(trade, predictions, means_, eligible);
}

}  // namespace leeway::router
