#pragma once

#include "pipeline/stage.hpp"
#include "telemetry/metrics.hpp"

#include <span>
#include <vector>

namespace leeway::pipeline {

/// Takes one request through its stages. Everything that stages have in common happens here: the
/// switch, the time that is left, the span, the verdict's effect, failures, and in checking builds
/// the invariants. Worker-local, one per request.
class Runner {
public:
    /// `mandatory` stages run before the route's own, for every request. All outlive the runner.
    Runner(std::span<Stage* const> mandatory, RequestContext& context,
           telemetry::WorkerMetrics& metrics)
        : mandatory_(mandatory), context_(context), metrics_(metrics) {}
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    /// Before the body is read.
    [[nodiscard]] Verdict on_head();
    /// Runs the stages until one ends the request. Continue, Respond or Reject.
    [[nodiscard]] Task<Verdict> on_request();
    /// Tells the stages that ran, last first. Once.
    void on_outcome(const Outcome& outcome) noexcept;

private:
    Task<Verdict> run_stage(Stage& stage);
    Verdict settle(Stage& stage, Verdict verdict);
    void check_invariants(const Stage& stage) const;

    std::span<Stage* const> mandatory_;
    RequestContext& context_;
    telemetry::WorkerMetrics& metrics_;
    std::vector<Stage*> ran_;
};

}  // namespace leeway::pipeline
