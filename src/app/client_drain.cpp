#include "app/client_request.hpp"

namespace leeway::app {

/// Whether the answer goes on, now that its caller cannot be reached any more.
bool ClientRequest::stays() {
    deadline_->interrupt(net::Deadline::Reason::kClientGone);
    return !deadline_->interrupted();
}

/// How long the attempt under way goes on without its caller. What no upstream has seen is not begun for nobody.
Duration ClientRequest::grace(void* self) {
    auto& request = *static_cast<ClientRequest*>(self);
    DrainSlots* slots = request.snapshot_->drain_slots();
    const bool sent = request.call_ != nullptr && request.call_->sent();
    if (slots == nullptr || !sent) return Duration::zero();
    auto slot = slots->take(request.snapshot_->drains().parallel);
    if (!slot) return Duration::zero();
    request.drain_slot_.emplace(std::move(*slot));
    return request.snapshot_->drains().time;
}

/// A caller that has left got no end, whatever came of its answer; one that comes at once it did not get at all.
void ClientRequest::note_left(pipeline::Outcome& outcome, ledger::EndState& end) {
    if (!deadline_ || !deadline_->client_left()) return;
    context_.note("drain", outcome.complete ? "whole" : "part");
    end = ledger::EndState::kClientGone;
    record_.error = "client_gone";
    if (outcome.form == pipeline::AnswerForm::kJson)
        outcome.status = http_status(ErrorCode::kClientGone);
}

}  // namespace leeway::app
