#pragma once

#include "methods/cascade/hull.hpp"
#include "methods/cascade/pacer.hpp"
#include "methods/router/predict/outcome_predictor.hpp"
#include "methods/router/predict/route_policy.hpp"
#include "methods/router/predict/router_file.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// A policy that was read, at the spending that it is used at. Immutable; any thread may ask.
class LearnedRouter {
public:
    /// `file` is sound, as one that was read is.
    LearnedRouter(RouterFile file, const Spending& spending);

    [[nodiscard]] std::size_t models() const noexcept { return means_.size(); }
    [[nodiscard]] const std::string& model(std::size_t m) const noexcept {
        return predictor_.state().models[m].model;
    }
    [[nodiscard]] std::size_t dimension() const noexcept { return predictor_.state().dimension; }
    [[nodiscard]] const std::string& fingerprint() const noexcept { return fingerprint_; }
    [[nodiscard]] const std::string& embedding_model() const noexcept { return embedding_model_; }
    [[nodiscard]] const RouterEvidence& evidence() const noexcept { return evidence_; }
    [[nodiscard]] const std::string& seal() const noexcept { return seal_; }
    [[nodiscard]] const Spending& spending() const noexcept { return spending_; }
    [[nodiscard]] const RoutePolicy& policy() const noexcept { return policy_; }

    /// Between which two trades chance decides.
    [[nodiscard]] const cascade::Mixture& mixture() const noexcept { return mixture_; }
    /// The trade of one request; `draw`: 0 … 1, from chance.
    [[nodiscard]] std::size_t trade_at(double draw) const noexcept;
    /// The trade at a price of money, which a pacer tells.
    [[nodiscard]] std::size_t trade_for(double lambda) const noexcept;
    /// A pacer for the budget, which is above 0.
    [[nodiscard]] cascade::Pacer pacer() const noexcept;

    /// What to expect of each model. `vector` has the router's dimension and comes from its embedding model.
    [[nodiscard]] std::vector<Prediction> predict(std::span<const float> vector,
                                                  std::string_view text) const;
    /// The same where the text's cues are known and it is not.
    [[nodiscard]] std::vector<Prediction> predict(std::span<const float> vector,
                                                  const TextCues& cues) const;
    /// As RoutePolicy::choose_among.
    [[nodiscard]] std::size_t choose(std::size_t trade, std::span<const Prediction> predictions,
                                     ModelSet eligible) const noexcept;

private:
    std::string fingerprint_;
    std::string embedding_model_;
    std::string seal_;
    RouterEvidence evidence_;
    RoutePolicy policy_;
    Spending spending_;
    OutcomePredictor predictor_;
    std::vector<Prediction> means_;
    std::vector<cascade::CostQuality> points_;  // of the trades
    std::vector<std::size_t> hull_;
    cascade::Mixture mixture_;
};

}  // namespace leeway::router
