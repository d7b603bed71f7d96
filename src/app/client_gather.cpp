#include "app/batch_gatherer.hpp"
#include "app/batch_input.hpp"
#include "app/batch_settlement.hpp"
#include "app/batch_waiters.hpp"
#include "app/client_request.hpp"
#include "json/node.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

namespace leeway::app {
namespace {

constexpr std::string_view kUrl = "/v1/chat/completions";

struct Waiting {
    PostedValue<BatchWaiters::Reply>* value;
    const net::Deadline* deadline;
};
void interrupt_waiting(void* waiting) {
    auto& one = *static_cast<Waiting*>(waiting);
    one.value->interrupt(fail(one.deadline->error()));
}

/// The caller has waited for as long as it said.
Error not_in_time(bool unsent) {
    return Error{ErrorCode::kUpstreamTimeout,
                 "The batch of this request was not over in the time that x-leeway-wait gave it.",
                 unsent ? "it was not sent and costs nothing"
                        : "its answer is lost, but billed; give it more time",
                 {},
                 "batch_not_over"};
}

}  // namespace

/// Whether the request becomes a line of a batch: its route says so and its caller can wait.
bool ClientRequest::gathers() const {
    const pipeline::Route* route = context_.route;
    if (route == nullptr || route->tier != prices::Tier::kBatch || context_.held_out) return false;
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    return caller_wait_ >= route->gather_wait &&
           context_.endpoint == pipeline::Endpoint::kChatCompletions && !unreadable_ &&
           !wire::openai::find_member(context_.body, "service_tier").present() &&
           provider.batches && provider.dialect == wire::Dialect::kOpenAiChat &&
           context_.model->targets.empty() && worker_.ledger != nullptr &&
           worker_.gatherer != nullptr && snapshot_->batches() != nullptr;
}

/// Its line of the input file.
Result<std::string> ClientRequest::batch_line() const {
    json::Splice splice(context_.body);
    for (const auto& edit : context_.edits()) {
        if (auto added = splice.add(edit.change); !added) return fail(std::move(added.error()));
    }
    auto body = json::parse_node(splice.str());
    if (!body) return fail(std::move(body.error()));
    body->at("model") = json::Node::string(context_.model->upstream_name);
    for (const std::string_view key : {"stream", "stream_options"}) body->erase(key);
    json::Node line = json::Node::object();
    line.at("custom_id") = json::Node::string(context_.id.text());
    line.at("method") = json::Node::string("POST");
    line.at("url") = json::Node::string(std::string(kUrl));
    line.at("body") = std::move(*body);
    return line.json();
}

/// Goes out with others, and its caller waits for as long as it said.
Task<void> ClientRequest::gather() {
    if (!worker_.ledger->healthy()) {
        Error error = ledger::no_paid_work();
        co_await refuse(std::move(error), 1);
        co_return;
    }
    auto line = batch_line();
    Result<BatchBound> bound;
    if (line) {
        bound = read_batch_input(*line);
    } else {
        bound = fail(std::move(line.error()));
    }
    if (!bound) {
        co_await refuse(std::move(bound.error()));
        co_return;
    }
    StoredBatch batch = planned_batch(context_, *bound, *context_.model);
    batch.line = context_.id.text();
    batch.route = context_.route->name;
    if (snapshot_->budgets() != nullptr) {
        if (auto error = reserve_batch(*snapshot_, context_, *bound, *context_.model, batch)) {
            co_await refuse(std::move(*error));
            co_return;
        }
    }
    const std::vector<std::string> scopes = batch.scopes;
    net::Timeouts wait;
    wait.total = caller_wait_;
    net::Deadline deadline(worker_.loop, wait);
    auto value = snapshot_->batch_waiters()->wait(context_.id, worker_.loop);
    worker_.gatherer->add(std::move(batch), std::move(*line), *context_.route);
    Waiting waiting{&value, &deadline};
    exchange_.watch(deadline);
    BatchWaiters::Reply reply;
    {
        const net::Deadline::Guard guard(deadline, &interrupt_waiting, &waiting);
        if (deadline.interrupted()) interrupt_waiting(&waiting);
        reply = co_await value.receive();
    }
    exchange_.unwatch();
    snapshot_->batch_waiters()->forget(context_.id);
    const bool unsent = !reply && worker_.gatherer->take_back(context_.id);
    if (!reply && deadline.reason() == net::Deadline::Reason::kTotal)
        reply = fail(not_in_time(unsent));
    if (unsent) {
        // It costs nothing, and its row is as of any other that was refused.
        if (!scopes.empty()) (void)snapshot_->budgets()->book->release(context_.id, 1);
        co_await refuse(std::move(reply.error()));
        co_return;
    }
    co_await deliver_line(std::move(reply));
}

/// Its row is written when its batch is settled, by whoever sees that.
Task<void> ClientRequest::deliver_line(Result<LineReply> reply) {
    row_is_written_ = true;
    pipeline::Outcome outcome;
    outcome.no_store = true;
    Result<pipeline::StageAnswer> told;
    if (!reply) {
        told = fail(std::move(reply.error()));
    } else if (reply->status != 200) {
        told =
            fail(wire::codec_of(wire::Dialect::kOpenAiChat).read_error(reply->status, reply->body));
    } else {
        outcome.usage = reply->usage;
        outcome.usage_state = reply->usage_state;
        record_.cost = reply->cost;
        record_.baseline = reply->baseline;
        told = in_callers_form(std::move(reply->body));
    }
    if (!told) {
        co_await refuse(std::move(told.error()));
        co_return;
    }
    outcome.status = 200;
    settle(outcome, ledger::EndState::kOk);
    co_await send_whole(*told);
}

}  // namespace leeway::app
