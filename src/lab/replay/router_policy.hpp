#pragma once

#include "lab/replay/replay.hpp"
#include "methods/router/predict/learned_router.hpp"
#include "methods/router/predict/router_memory.hpp"
#include "methods/router/predict/router_stage.hpp"
#include "pipeline/model.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::lab {

/// How a router that is replayed is used.
struct RouterReplay {
    router::Spending spending;
    std::size_t reference = 0;  ///< which of its models is the route's own
    std::string route;  ///< whose draws between two trades are made again; empty: no route's
};

/// A learned router as the gateway's stage `router` carries it out: the stage itself is run on each request, with the vector
/// that was recorded. Each request begins a conversation, and every model may answer it: what went before and who may
/// what, a recording does not tell. A budget is kept by chance, not paced.
class ReplayedRouter final : public ReplayedPolicy {
public:
    ReplayedRouter(router::RouterFile file, const RouterReplay& how);
    ~ReplayedRouter() override;

    [[nodiscard]] std::span<const std::string> models() const noexcept override { return names_; }
    [[nodiscard]] std::size_t reference() const noexcept override { return reference_; }
    [[nodiscard]] std::string_view needs() const noexcept override {
        return "a router needs the vector of what was asked";
    }
    /// Whether it decides nothing without vectors.
    [[nodiscard]] bool needs_vectors() const noexcept { return stage_.needs_vector(); }
    [[nodiscard]] std::optional<ReplayedDecision> decide(
        const RecordedRequest& request) const override;

private:
    class Vectors;  // gives the stage that of the request

    [[nodiscard]] router::RouterUse use_of(const RouterReplay& how);
    [[nodiscard]] std::vector<ReplaySignals> signals_of(const RecordedRequest& request) const;

    std::shared_ptr<const router::LearnedRouter> router_;
    std::size_t reference_;
    std::vector<std::string> names_;
    std::vector<pipeline::Model> models_;
    router::RouterMemory memory_;  // stays empty: nothing is told how a request ended
    std::unique_ptr<Vectors> vectors_;
    mutable router::RouterStage stage_;  // its interface is not const
};

}  // namespace leeway::lab
