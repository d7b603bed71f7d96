#include "app/client_request.hpp"
#include "app/recorded_exchange.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"

#include <utility>

namespace leeway::app {
namespace {

void append_field(std::string& out, std::string_view text) {
    out.append(std::to_string(text.size())).append(":").append(text);
}

Error used_otherwise() {
    return Error{ErrorCode::kInvalidRequest,
                 "This Idempotency-Key was used for another request.",
                 "use a new key for a new request",
                 {},
                 "idempotency_key_reused"};
}

Error too_many_wait() {
    return Error{ErrorCode::kInvalidRequest,
                 "Too many requests wait for the answer to this Idempotency-Key already.",
                 "wait for one of them",
                 {},
                 "idempotency_key_in_use"};
}

constexpr int kConflict = 409;

}  // namespace

/// What the caller asks with its idempotency key; nullopt: the answer is not to be kept.
std::optional<ReplayStore::Question> ClientRequest::question_of() const {
    const auto told = header("idempotency-key");
    if (!told || told->empty()) return std::nullopt;
    if (const auto wish = header("cache-control"); wish && list_has(*wish, "no-store"))
        return std::nullopt;
    std::string bytes;
    append_field(bytes, context_.key_name);
    append_field(bytes, *told);
    ReplayStore::Question out;
    out.key = sha256(bytes);
    const Hash128 body = process_hash128(original_.empty() ? context_.body : original_);
    bytes.assign(reinterpret_cast<const char*>(&body), sizeof body);
    bytes.append(exchange_.head().path);
    out.body = process_hash128(bytes);
    return out;
}

/// Answers a request that was answered before, or waits for the one that is being answered. False: this one is
/// answered as any other. True: it is over.
Task<bool> ClientRequest::replay() {
    using Kind = ReplayStore::Kind;
    ReplayStore& store = *snapshot_->replays();
    const auto question = question_of();
    if (!question) co_return false;
    const std::int64_t now_ms = context_.arrived_unix_us / 1000;
    ReplayStore::Found found = store.look_up(*question, now_ms, worker_.loop);
    if (found.kind == Kind::kFollow) {
        on_interrupt(
            [](void* follower) {
                static_cast<agent_cache::SingleFlight::Follower*>(follower)->interrupt();
            },
            &found.follower);
        agent_cache::SingleFlight::Outcome outcome;
        if (!deadline_->interrupted()) outcome = co_await found.follower.wait();
        on_interrupt(nullptr, nullptr);
        if (deadline_->interrupted()) {
            Error error = deadline_->error();
            co_await refuse(std::move(error));
            co_return true;
        }
        ReplayStore::Found after = store.after(*question, now_ms, std::move(outcome));
        found = std::move(after);
    }
    if (found.kind == Kind::kLead) {
        replay_lease_ = std::move(found.lease);
        recorder_->record(store.entry_bytes());
        co_return false;
    }
    if (found.kind == Kind::kAnswer) {
        co_await deliver_replay(std::move(found.answer));
        co_return true;
    }
    Error error = found.kind == Kind::kOther ? used_otherwise() : too_many_wait();
    co_await refuse(std::move(error), 0, kConflict);
    co_return true;
}

/// The answer as it was given before: it costs nothing, and saves nothing that its caller would have paid for.
Task<void> ClientRequest::deliver_replay(ReplayStore::Answer answer) {
    replayed_ = true;
    if (const pipeline::Model* model = snapshot_->model(answer.model)) context_.model = model;
    upstream_fields_ = std::move(answer.fields);
    context_.note("idempotency", "replay_of:" + answer.id);
    record_.source = ledger::Source::kGateway;
    record_.arm = ledger::Arm::kNone;
    pipeline::Outcome outcome;
    outcome.from_stage = true;
    outcome.status = 200;
    outcome.form =
        answer.streamed ? pipeline::AnswerForm::kEventStream : pipeline::AnswerForm::kJson;
    settle(outcome, ledger::EndState::kOk);
    if (!answer.streamed) {
        co_await exchange_.respond(200, answer_fields({}, true), answer.body);
        co_return;
    }
    const bool begun = co_await exchange_.begin_stream(200, answer_fields({}, true));
    if (!begun) co_return;
    const std::array<std::string_view, 1> pieces{answer.body};
    const bool sent = co_await exchange_.send(pieces);
    if (sent) co_await exchange_.end_stream();
}

/// Only whole answers are kept, so that a caller whose request failed may send it again.
void ClientRequest::keep_for_replay() {
    if (!answered_ || !recorder_->whole()) {
        replay_lease_.drop();
        return;
    }
    ReplayStore::Answer answer;
    answer.fields = upstream_fields_;
    const std::string_view type = recorder_->streamed() ? "text/event-stream" : "application/json";
    const bool typed = std::any_of(
        answer.fields.begin(), answer.fields.end(),
        [](const auto& field) { return equals_ignore_case(field.first, "content-type"); });
    if (!typed) answer.fields.emplace_back("content-type", type);
    answer.model = context_.model->name;
    answer.id = context_.id.text();
    answer.body = recorder_->body();
    answer.streamed = recorder_->streamed();
    const std::int64_t now_ms = unix_now_us() / 1000;
    const std::int64_t ttl_ms = std::chrono::milliseconds(snapshot_->idempotency_ttl()).count();
    replay_lease_.keep(answer, now_ms, now_ms + ttl_ms);
}

}  // namespace leeway::app
