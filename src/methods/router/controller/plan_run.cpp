#include "methods/router/controller/plan_run.hpp"

#include <algorithm>
#include <coroutine>
#include <utility>

namespace leeway::router {

/// Awaits that a step ends. What was posted to resume its waiter may come when that has gone on, so it is shared.
struct PlanRun::Ended {
    bool set = false;
    std::coroutine_handle<> waiter;

    [[nodiscard]] bool await_ready() const noexcept { return set; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
    void await_resume() noexcept { set = false; }
    void resume() {
        if (waiter) std::exchange(waiter, {}).resume();
    }
};

PlanRun::PlanRun(const Plan& plan, const RunTerms& terms, pipeline::RequestContext& context)
    : plan_(plan),
      terms_(terms),
      context_(context),
      states_(plan.steps.size(), State::kOpen),
      results_(plan.steps.size()),
      ended_(std::make_shared<Ended>()) {}

PlanRun::~PlanRun() = default;

bool PlanRun::ready(std::size_t step) const {
    return states_[step] == State::kOpen &&
           std::ranges::all_of(plan_.steps[step].needs,
                               [&](std::size_t need) { return states_[need] == State::kDone; });
}

void PlanRun::fail_with(std::string_view why) {
    if (failure_.empty()) failure_ = why.empty() ? "error" : why;
}

/// Whether one more step may begin; if not for good, `failure_` says why.
bool PlanRun::may_begin() {
    const pipeline::Interruption* const by = context_.interruption;
    if (by != nullptr && by->interrupted()) fail_with("interrupted");
    if (monotonic_now() >= terms_.until) fail_with("late");
    return failure_.empty() && running_ < terms_.max_parallel;
}

void PlanRun::begin_ready() {
    for (std::size_t step = 0; step < states_.size(); ++step) {
        if (!ready(step)) continue;
        if (!may_begin()) return;
        states_[step] = State::kRunning;
        ++running_;
        // It catches all itself.
        spawn(run_step(step), [](const std::exception_ptr&) {});
    }
}

Task<bool> PlanRun::run() {
    for (;;) {
        begin_ready();
        if (running_ == 0) break;
        Ended& ended = *ended_;
        co_await ended;
    }
    if (exception_) std::rethrow_exception(exception_);
    co_return std::ranges::all_of(states_, [](State state) { return state == State::kDone; });
}

Task<void> PlanRun::run_step(std::size_t step) {
    try {
        const PlanStep& own = plan_.steps[step];
        pipeline::OwnCall call = step_call(plan_, step, results_, terms_.kinds[own.kind],
                                           terms_.answer_tokens, terms_.conversation);
        const Duration left = terms_.until - monotonic_now();
        auto answer = co_await context_.asker->ask_model(std::move(call), left);
        if (answer) {
            results_[step] = std::move(*answer);
            states_[step] = State::kDone;
        } else {
            fail_with(answer.error().reason);
        }
    } catch (...) {
        exception_ = std::current_exception();
        fail_with("error");
    }
    --running_;
    ended_->set = true;
    // Not from here: this frame would end under the one that owns it.
    if (ended_->waiter) context_.executor->post([ended = ended_] { ended->resume(); });
}

}  // namespace leeway::router
