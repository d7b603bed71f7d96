#include "pipeline/runner.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string>

namespace leeway::pipeline {
namespace {

[[maybe_unused]] void require(bool condition, const Stage& stage, const char* what) {
    if (condition) return;
    spdlog::critical("stage {} broke an invariant: {}", stage.info().name, what);
    std::abort();
}

Verdict nobody_here() {
    return Reject{{ErrorCode::kUnavailable,
                   "This request must be answered by a model that runs here, and its route has "
                   "none",
                   {},
                   {},
                   "local_only"}};
}

}  // namespace

Verdict Runner::on_head() {
    for (Stage* stage : mandatory_) {
        Verdict verdict = settle(*stage, stage->on_head(context_));
        if (!std::holds_alternative<Continue>(verdict)) return verdict;
    }
    return Continue{};
}

Task<Verdict> Runner::on_request() {
    for (Stage* stage : mandatory_) {
        Verdict verdict = co_await run_stage(*stage);
        if (!std::holds_alternative<Continue>(verdict)) co_return verdict;
    }
    if (context_.route != nullptr) {
        for (Stage* stage : context_.route->stages) {
            if (context_.held_out && !stage->info().guards) continue;
            Verdict verdict = co_await run_stage(*stage);
            if (!std::holds_alternative<Continue>(verdict)) co_return verdict;
        }
    }
    if (context_.local_only && !context_.model->local) {
        co_return nobody_here();
    }
    co_return Verdict(Continue{});
}

Task<Verdict> Runner::run_stage(Stage& stage) {
    const bool late = context_.interruption != nullptr &&
                      (context_.interruption->interrupted() ||
                       context_.interruption->remaining() <= Duration::zero());
    if (late && stage.info().on_error == OnError::kSkip) {
        metrics_.stage_skipped(stage.info().name, "no_time");
        context_.note(stage.info().name, "no_time");
        co_return Verdict(Continue{});
    }
    const TimePoint begin = monotonic_now();
    ran_.push_back(&stage);
    Verdict verdict = co_await stage.on_request(context_);
    metrics_.stage_ran(stage.info().name, monotonic_now() - begin);
    check_invariants(stage);
    co_return settle(stage, std::move(verdict));
}

// What a verdict means for the request; only Continue, Respond and Reject are left afterwards.
Verdict Runner::settle(Stage& stage, Verdict verdict) {
    if (auto* retarget = std::get_if<Retarget>(&verdict)) {
        // What one stage keeps here another must not send away.
        if (context_.local_only && context_.model->local && !retarget->model->local) {
            context_.note(stage.info().name, "local_only");
            return Continue{};
        }
        context_.model = retarget->model;
        return Continue{};
    }
    if (auto* failed = std::get_if<Failed>(&verdict)) {
        if (stage.info().on_error == OnError::kReject) return Reject{std::move(failed->error)};
        const std::string_view reason =
            failed->error.reason.empty() ? std::string_view("error") : failed->error.reason;
        metrics_.stage_skipped(stage.info().name, reason);
        context_.note(stage.info().name, reason);
        return Continue{};
    }
    return verdict;
}

void Runner::on_outcome(const Outcome& outcome) noexcept {
    for (auto stage = ran_.rbegin(); stage != ran_.rend(); ++stage)
        (*stage)->on_outcome(context_, outcome);
    ran_.clear();
}

void Runner::check_invariants([[maybe_unused]] const Stage& stage) const {
#if defined(LEEWAY_DEBUG_CHECKS) && LEEWAY_DEBUG_CHECKS
    require(context_.model != nullptr, stage, "the request lost its model");
    require(context_.view.object_end <= context_.body.size(), stage, "the view left the body");
    for (const auto& edit : context_.edits()) {
        require(edit.change.offset + edit.change.length <= context_.body.size(), stage,
                "an edit left the body");
    }
#endif
}

}  // namespace leeway::pipeline
