#pragma once

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "methods/router/predict/learned_router.hpp"
#include "methods/router/predict/router_memory.hpp"
#include "models/embedding.hpp"
#include "pipeline/stage.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::router {

/// A learned router as one route of the gateway uses it. All outlive the stage.
struct RouterUse {
    std::shared_ptr<const LearnedRouter> router;  ///< not null
    std::vector<const pipeline::Model*> models;  ///< as in `router`; not null
    std::size_t own = 0;  ///< which of them is the route's own
    std::string route;
    models::Embedder* embedder = nullptr;  ///< not null
    Duration limit = std::chrono::milliseconds(50);  ///< for the embedding
    RouterMemory* memory = nullptr;  ///< not null
    std::shared_ptr<PredictionMemo> memo =
        std::make_shared<PredictionMemo>();  ///< of `router`; not null
    std::shared_ptr<SharedPacer> pacer;  ///< null: the router's mixture of trades holds
    /// The cues of what was asked, where they are known and its text is not, as of recorded requests; empty: the text's.
    std::function<TextCues(std::string_view)> cues;
};

/// Sends a chat request to the model that is worth its price for it (docs/formats/router.md): those that cannot or must not
/// answer it are left out, what the others would do with it is predicted, and within a conversation it changes models only
/// where the gain exceeds what is lost with the provider's prompt cache. One for each route that has the stage.
class RouterStage final : public pipeline::Stage {
public:
    static constexpr pipeline::StageInfo kInfo{.name = "router",
                                               .on_error = pipeline::OnError::kSkip};
    explicit RouterStage(RouterUse use);

    [[nodiscard]] const pipeline::StageInfo& info() const noexcept override { return kInfo; }
    [[nodiscard]] Task<pipeline::Verdict> on_request(pipeline::RequestContext& context) override;
    void on_outcome(pipeline::RequestContext& context,
                    const pipeline::Outcome& outcome) noexcept override;
    /// Whether it goes by what is predicted, at some trade of those that it may take; else one model answers.
    [[nodiscard]] bool needs_vector() const noexcept;

private:
    struct Remembered;

    [[nodiscard]] ModelSet eligible(const pipeline::RequestContext& context) const;
    [[nodiscard]] std::size_t trade(const pipeline::RequestContext& context) const;
    /// `chance`: with which the model was chosen.
    [[nodiscard]] pipeline::Verdict go_to(std::size_t model, std::string_view why, double chance,
                                          pipeline::RequestContext& context) const;
    /// Over the draw of a trade, of which `decide` tells the model.
    template <class Decide>
    [[nodiscard]] double chance_of(std::size_t model, Decide&& decide) const;
    /// Which model this conversation was sent to before, and the tokens that its provider has.
    [[nodiscard]] std::optional<std::pair<std::size_t, std::int64_t>> recall(
        pipeline::RequestContext& context) const;

    const RouterUse use_;
    const bool has_limits_;  // a model of these cannot answer everything
};

/// What a request asks for beyond text.
struct RequestNeeds {
    bool tools = false;
    bool images = false;
    bool audio = false;
    bool schema = false;
    std::int64_t tokens = 0;  ///< of prompt and answer, more likely too many than too few
};
[[nodiscard]] RequestNeeds needs_of(const pipeline::RequestContext& context);
[[nodiscard]] bool can_answer(const pipeline::Abilities& able, const RequestNeeds& needs) noexcept;

/// What sending a conversation of `tokens` from `stay`, whose provider has it in its prompt cache, to `go` costs more, USD;
/// never below 0. nullopt: a price is not known.
[[nodiscard]] std::optional<double> lost_prefix_usd(const pipeline::Model& stay,
                                                    const pipeline::Model& go, std::int64_t tokens,
                                                    std::int64_t unix_s) noexcept;
/// Whether to leave the model `stay` for `go`: what is expected to be gained at the trade exceeds its margin and the price
/// of what is lost.
[[nodiscard]] bool worth_leaving(const RouteTrade& trade, const Prediction& stay,
                                 const Prediction& go, double lost_usd) noexcept;

}  // namespace leeway::router
