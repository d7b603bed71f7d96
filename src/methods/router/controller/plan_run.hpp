#pragma once

#include "base/clock.hpp"
#include "base/task.hpp"
#include "methods/router/controller/plan_prompts.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

/// What steps are run with. All of it outlives the run.
struct RunTerms {
    std::span<const StepKind> kinds;
    std::size_t max_parallel = 1;
    std::int64_t answer_tokens = 0;  ///< the most of each step
    TimePoint until;  ///< no step takes longer
    std::string_view conversation;
};

/// Runs the steps of a plan, each when all that it needs is done, several at a time. Lives in the frame of its user, which
/// awaits `run` once; then no step is under way any more. Loop-local.
class PlanRun {
public:
    /// `plan` and `context`, which has an asker and an executor, outlive it.
    PlanRun(const Plan& plan, const RunTerms& terms, pipeline::RequestContext& context);
    ~PlanRun();
    PlanRun(const PlanRun&) = delete;
    PlanRun& operator=(const PlanRun&) = delete;

    /// True: all steps are done. Otherwise one failed, or the time was over, or the request was interrupted: from then on
    /// none was begun, and those that were under way have ended.
    [[nodiscard]] Task<bool> run();
    /// Of each step, where all are done.
    [[nodiscard]] std::span<const std::string> results() const noexcept { return results_; }
    /// Why they are not, in a word of pipeline::ModelAsker, or "late" or "interrupted".
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

private:
    struct Ended;
    enum class State : std::uint8_t { kOpen, kRunning, kDone };

    void begin_ready();
    [[nodiscard]] bool ready(std::size_t step) const;
    [[nodiscard]] bool may_begin();
    void fail_with(std::string_view why);
    Task<void> run_step(std::size_t step);

    const Plan& plan_;
    const RunTerms terms_;
    pipeline::RequestContext& context_;
    std::vector<State> states_;
    std::vector<std::string> results_;
    std::string failure_;  // empty: none has failed
    std::exception_ptr exception_;  // of a library, in a step
    std::size_t running_ = 0;
    const std::shared_ptr<Ended> ended_;
};

}  // namespace leeway::router
