#include "app/shadow.hpp"

#include "app/gateway.hpp"
#include "app/request_target.hpp"
#include "app/worst_case.hpp"
#include "base/hash.hpp"
#include "methods/cascade/check/logprobs.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/canonical/common.hpp"
#include "wire/canonical/with_model.hpp"
#include "wire/openai/chat_parts.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace leeway::app {
namespace {

constexpr std::size_t kMostAnswer = 16UL * 1024 * 1024;

using Event = wire::StreamEvent::Kind;

/// What is known of a shadow's answer.
struct Seen {
    int status = 0;
    ledger::EndState end = ledger::EndState::kError;
    wire::usage::UsageReading usage;
    wire::StopReason stop = wire::StopReason::kUnset;
    std::string model;  ///< as the answer says
    pipeline::LaterAnswer answer;
};

/// Reads a stream to its end, for its usage.
Task<void> read_stream(Shadow& shadow, Seen& seen) {
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(shadow.provider.dialect);
    const auto scanner = theirs.scanner();
    const auto reader = theirs.stream_reader(shadow.provider.flavour);
    std::vector<wire::StreamEvent> events;
    wire::openai::SseEvent event;
    bool failed = false;
    for (;;) {
        auto pieces = co_await shadow.call.read_some();
        if (!pieces) {
            // What was told before a cut is not all.
            if (seen.usage.state != prices::UsageState::kMissing)
                seen.usage.state = prices::UsageState::kPartial;
            co_return;
        }
        if (pieces->empty()) break;
        events.clear();
        for (const std::string_view piece : *pieces) {
            scanner->feed(piece);
            for (;;) {
                const auto more = scanner->next(event);
                if (!more) co_return;
                if (!*more) break;
                (void)reader->read(event, events);
            }
        }
        for (const wire::StreamEvent& one : events) {
            if (one.kind == Event::kUsage) seen.usage = one.usage;
            if (one.kind == Event::kStart) seen.model = one.model;
            if (one.kind == Event::kStop && seen.stop == wire::StopReason::kUnset)
                seen.stop = one.stop;
            failed = failed || one.kind == Event::kError;
        }
    }
    const bool stopped = seen.stop != wire::StopReason::kUnset;
    if (stopped && !failed) seen.end = ledger::EndState::kOk;
}

Task<void> send(Shadow& shadow, Seen& seen) {
    std::vector<net::Field> fields;
    fields.reserve(shadow.fields.size());
    for (const auto& [name, value] : shadow.fields) fields.push_back({name, value});
    const std::array<std::string_view, 1> body{shadow.body};
    net::UpstreamRequest request;
    request.target = shadow.target;
    request.fields = fields;
    request.body = body;
    auto started = co_await shadow.call.start(request);
    if (!started) {
        if (!shadow.call.sent()) shadow.attempt.cost = PicoUsd(0);
        co_return;
    }
    seen.status = shadow.call.head().status;
    if (seen.status == 200 && shadow.record.stream) {
        co_await read_stream(shadow, seen);
        co_return;
    }
    auto answer_body = co_await shadow.call.read_all(kMostAnswer);
    if (!answer_body || seen.status != 200) co_return;
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(shadow.provider.dialect);
    const auto answer = theirs.read_answer(*answer_body, shadow.provider.flavour);
    if (!answer) co_return;
    seen.usage = answer->usage;
    seen.model = answer->model;
    seen.stop = answer->choices.front().stop;
    seen.end = ledger::EndState::kOk;
    if (!shadow.own && !shadow.compare) co_return;
    auto text = wire::whole_text(answer->choices.front());
    seen.answer.complete = text.has_value();
    seen.answer.input_tokens = seen.usage.usage.input_total();
    seen.answer.text = std::move(text).value_or("");
    if (const auto logprobs = cascade::summarise_logprobs(answer->choices.front().logprobs))
        seen.answer.mean_logprob = logprobs->mean;
}

void settle(WorkerState& worker, Shadow& shadow, const Seen& seen) {
    note_health(shadow.pass, shadow.deadline, seen.status);
    ledger::RequestRecord& record = shadow.record;
    ledger::AttemptRow& attempt = shadow.attempt;
    attempt.http_status = seen.status;
    attempt.end = seen.end;
    attempt.model_reported = seen.model;
    if (seen.stop != wire::StopReason::kUnset)
        attempt.finish_reason = wire::openai::finish_reason(seen.stop);
    attempt.total_us = to_us(shadow.deadline.elapsed());
    if (seen.end != ledger::EndState::kOk) record.error = "upstream_error";
    const bool left = shadow.deadline.reason() == net::Deadline::Reason::kShutdown;
    if (left) record.error = "shutting_down";
    if (shadow.deadline.reason() == net::Deadline::Reason::kClientGone)
        record.error = "client_gone";
    const BudgetPolicy* const budgets = shadow.snapshot->budgets();
    settle_own(worker, budgets != nullptr ? budgets->book : nullptr, shadow.reserved,
               *shadow.model.price, seen.usage, shadow.own ? shadow.own->tag : kShadowTag, record,
               attempt);
}

/// The body for the shadow's provider. Errors are those of the codecs.
Result<std::string> body_for(const Shadow& shadow) {
    const std::string& body = shadow.own->body;
    const std::string& model = shadow.model.upstream_name;
    const providers::Provider& provider = shadow.provider;
    if (provider.dialect == wire::Dialect::kOpenAiChat && provider.quirks == wire::kOpenAiQuirks)
        return wire::with_model(body, model);
    auto request = wire::codec_of(wire::Dialect::kOpenAiChat).read_request(body);
    if (!request) return fail(std::move(request.error()));
    wire::Losses unseen;
    return wire::upstream_codec_of(provider.dialect)
        .write_request(*request, request_target(provider, model), unseen);
}

/// Whether a call that a stage wants can be made, and all that it needs to be sent.
Task<bool> prepare(WorkerState& worker, Shadow& shadow) {
    const providers::Provider& provider = shadow.provider;
    if (!shadow.model.disabled.empty()) co_return false;
    if (provider.tokens != nullptr || provider.kind == providers::Kind::kEmbedded) {
        Result<void> ready;
        if (provider.tokens != nullptr) {
            ready = co_await provider.tokens->wait_ready(worker.loop, shadow.deadline);
        } else {
            ready = co_await shadow.snapshot->models()->wait_ready(worker.loop, shadow.deadline);
        }
        if (!ready || shadow.deadline.interrupted()) co_return false;
    }
    if (providers::Breaker* breaker = shadow.snapshot->breaker(shadow.model)) {
        auto pass = breaker->admit(monotonic_now());
        if (!pass) co_return false;
        shadow.pass.emplace(std::move(*pass));
    }
    auto body = body_for(shadow);
    if (!body) co_return false;
    pipeline::RequestContext context;
    context.headers = &pipeline::no_headers();
    context.model = &shadow.model;
    providers::PreparedRequest prepared;
    providers::PreparedRequest::prepare_body(provider, context, std::move(*body), prepared);
    take_request(shadow, prepared);
    if (shadow.snapshot->budgets() == nullptr) co_return true;
    const std::int64_t answer =
        shadow.own->answer_tokens > 0 ? shadow.own->answer_tokens : kUsualAnswer;
    const Int128 input = input_bound(static_cast<std::int64_t>(shadow.own->body.size()), 64, 0);
    const auto cost = worst_cost(*shadow.model.price, shadow.record.ts_us / 1'000'000,
                                 provider.origin.timeouts.total, input, answer);
    budget::Book& book = *shadow.snapshot->budgets()->book;
    const auto scopes = own_scopes(shadow.own->tag);
    if (!cost && book.limits(scopes, budget::Unit::kUsd, true)) co_return false;
    co_return reserve(worker, shadow, {cost.value_or(0), capped(input + answer)});
}

/// Makes a call that a stage wants; false: it could not be made.
Task<bool> run_own(WorkerState& worker, Shadow& shadow, Seen& seen) {
    const bool ready = co_await prepare(worker, shadow);
    if (!ready) co_return false;
    co_await send(shadow, seen);
    settle(worker, shadow, seen);
    co_return true;
}

Error no_answer(std::string reason) {
    return Error{ErrorCode::kUnavailable, "the model gave no answer", {}, {}, std::move(reason)};
}

}  // namespace

void take_request(Shadow& shadow, const providers::PreparedRequest& prepared) {
    const net::UpstreamRequest request = prepared.request();
    shadow.target = request.target;
    for (const net::Field& field : request.fields)
        shadow.fields.emplace_back(field.name, field.value);
    for (const std::string_view piece : request.body) shadow.body.append(piece);
}

bool reserve(WorkerState& worker, Shadow& shadow, const budget::Amount& worst) {
    budget::Book& book = *shadow.snapshot->budgets()->book;
    if (!reserve_own(book, *worker.ledger, shadow.record, worst)) return false;
    shadow.reserved = worst;
    return true;
}

Shadow::Shadow(WorkerState& worker, std::shared_ptr<const Snapshot> pinned,
               const pipeline::Model& of)
    : snapshot(std::move(pinned)),
      model(of),
      provider(snapshot->provider(of)),
      deadline(worker.loop, provider.origin.timeouts),
      call(worker.pool, provider.origin, deadline) {}

void Shadows::start(WorkerState& worker, std::unique_ptr<Shadow> shadow) {
    worker.loop.spawn(run(worker, std::move(shadow)));
}

void Shadows::add(Shadow& shadow) {
    shadows_.push_back(&shadow);
    running_.store(shadows_.size(), std::memory_order_relaxed);
}

void Shadows::remove(Shadow& shadow) {
    std::erase(shadows_, &shadow);
    running_.store(shadows_.size(), std::memory_order_relaxed);
}

Task<void> Shadows::run(WorkerState& worker, std::unique_ptr<Shadow> shadow) {
    add(*shadow);
    Seen seen;
    co_await send(*shadow, seen);
    settle(worker, *shadow, seen);
    if (shadow->compare && seen.answer.complete)
        shadow->compare({seen.answer.text, seen.answer.mean_logprob, shadow->attempt});
    remove(*shadow);
}

/// Null: there is no room for it, or it cannot be kept what it costs.
std::unique_ptr<Shadow> Shadows::make_own(WorkerState& worker,
                                          const std::shared_ptr<const Snapshot>& snapshot,
                                          const RequestId& of, const std::string& route,
                                          pipeline::OwnCall& call) const {
    const bool paid = worker.ledger != nullptr && worker.ledger->healthy();
    const bool wanted =
        call.model != nullptr && !call.body.empty() && call.body.size() <= kMostBody;
    if (!paid || !wanted || !has_room()) return nullptr;
    const pipeline::Model& place = *snapshot->places(*call.model, checksum64(of.text())).front();
    auto shadow = std::make_unique<Shadow>(worker, snapshot, place);
    ledger::RequestRecord& record = shadow->record;
    record.ts_us = unix_now_us();
    record.id = RequestId::make(record.ts_us / 1000);
    record.route = route;
    record.endpoint = wire::openai::to_string(pipeline::Endpoint::kChatCompletions);
    record.model_asked = call.model->name;
    record.model = place.name;
    record.provider = place.provider_name;
    record.tags = call.tag;
    record.notes = std::string(call.tag) + "=of:" + of.text();
    shadow->attempt.provider = place.provider_name;
    shadow->attempt.model = place.name;
    shadow->own = std::move(call);
    return shadow;
}

void Shadows::start(WorkerState& worker, const std::shared_ptr<const Snapshot>& snapshot,
                    const RequestId& of, const std::string& route, pipeline::LaterCall call) {
    auto shadow = make_own(worker, snapshot, of, route, call);
    if (!shadow) {
        if (!ended_ && call.then) (void)call.then({});
        return;
    }
    shadow->then = std::move(call.then);
    worker.loop.spawn(run_later(worker, std::move(shadow), of));
}

Task<void> Shadows::run_later(WorkerState& worker, std::unique_ptr<Shadow> shadow, RequestId of) {
    add(*shadow);
    Seen seen;
    co_await run_own(worker, *shadow, seen);
    remove(*shadow);
    if (ended_) co_return;
    auto next = shadow->then(seen.answer);
    if (next) start(worker, shadow->snapshot, of, shadow->record.route, std::move(*next));
}

void Shadows::Waiting::stop() noexcept {
    // An interruption may end one at once, and with the last one this.
    const auto kept = shared_from_this();
    const std::vector<Shadow*> all = calls;
    for (Shadow* shadow : all) {
        if (std::find(calls.begin(), calls.end(), shadow) != calls.end())
            shadow->deadline.interrupt(net::Deadline::Reason::kClientGone);
    }
}

void Shadows::wait(Shadow& shadow, pipeline::Interruption& by) {
    const auto same = [&](const auto& one) {
        return one->by == &by;
    };
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), same);
    if (found != waiting_.end()) return (*found)->calls.push_back(&shadow);
    Waiting& first = *waiting_.emplace_back(std::make_shared<Waiting>());
    first.by = &by;
    first.calls.push_back(&shadow);
    by.on_interrupt([](void* waiting) { static_cast<Waiting*>(waiting)->stop(); }, &first);
}

void Shadows::waited(Shadow& shadow, pipeline::Interruption& by) {
    const auto same = [&](const auto& one) {
        return one->by == &by;
    };
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), same);
    std::erase((*found)->calls, &shadow);
    if (!(*found)->calls.empty()) return;
    by.on_interrupt(nullptr, nullptr);
    waiting_.erase(found);
}

Task<WaitedAnswer> Shadows::ask(WorkerState& worker, WaitedCall wanted,
                                pipeline::Interruption& by) {
    WaitedAnswer out{fail(no_answer("left_out"))};
    if (by.interrupted()) co_return out;
    auto shadow = make_own(worker, wanted.snapshot, wanted.of, wanted.route, wanted.call);
    if (!shadow) co_return out;
    const auto most = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(wanted.limit),
                               std::chrono::milliseconds(1));
    shadow->deadline.set_timeouts(within(shadow->provider.origin.timeouts, most));
    add(*shadow);
    wait(*shadow, by);
    Seen seen;
    const bool sent = co_await run_own(worker, *shadow, seen);
    waited(*shadow, by);
    remove(*shadow);
    if (!sent) co_return out;
    out.cost = shadow->record.cost;
    out.text = fail(no_answer("no_answer"));
    if (seen.answer.complete) out.text = std::move(seen.answer.text);
    co_return out;
}

void Shadows::end() noexcept {
    ended_ = true;
    // An interruption may end one at once and take it off the list.
    const std::vector<Shadow*> all = shadows_;
    for (Shadow* shadow : all) {
        if (std::find(shadows_.begin(), shadows_.end(), shadow) != shadows_.end())
            shadow->deadline.interrupt(net::Deadline::Reason::kShutdown);
    }
}

}  // namespace leeway::app
