#include "methods/agent_cache/semantic/risk_controller.hpp"

#include "base/confidence_limits.hpp"
#include "methods/agent_cache/semantic/evidence.hpp"
#include "methods/agent_cache/semantic/risk_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

namespace leeway::agent_cache::semantic {

std::string_view action_name(Action action) noexcept {
    switch (action) {
        case Action::kMiss: return "miss";
        case Action::kExplore: return "explore";
        case Action::kShadow: return "shadow";
        case Action::kServe: return "serve";
        case Action::kServeAndAudit: return "serve_and_audit";
    }
    return "miss";
}

std::string_view phase_name(RiskState::Phase phase) noexcept {
    switch (phase) {
        case RiskState::Phase::kGathering: return "gathering";
        case RiskState::Phase::kServing: return "serving";
        case RiskState::Phase::kUncertified: return "uncertified";
        case RiskState::Phase::kStopped: return "stopped";
        case RiskState::Phase::kAdvisory: return "advisory";
    }
    return "gathering";
}

struct RiskController::Impl {
    explicit Impl(RiskCore made) : core(std::move(made)) {}
    mutable std::mutex mutex;
    RiskCore core;
};

RiskController::RiskController(const HitModel& model, RiskSettings settings)
    : impl_(std::make_unique<Impl>(RiskCore(model, settings))) {}
RiskController::~RiskController() = default;
RiskController::RiskController(RiskController&&) noexcept = default;
RiskController& RiskController::operator=(RiskController&&) noexcept = default;

Decision RiskController::decide(const Candidate& candidate, double chance) {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->core.decide(candidate, chance);
}

void RiskController::record(const Decision& decision, bool right) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->core.record(decision, right);
}

void RiskController::missed(const Decision& decision) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->core.missed(decision);
}

RiskState RiskController::state() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->core.state();
}

void RiskController::rearm() {
    const std::scoped_lock lock(impl_->mutex);
    impl_->core.begin_again({});
}

std::string RiskController::save() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->core.save();
}

Result<void> RiskController::restore(std::string_view saved) {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->core.restore(saved);
}

}  // namespace leeway::agent_cache::semantic
