#include "app/answer_meter.hpp"
#include "app/attempt_end.hpp"
#include "app/client_request.hpp"
#include "base/strings.hpp"
#include "wire/openai/answer.hpp"
#include "wire/openai/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

constexpr std::string_view kDone = "[DONE]";

}  // namespace

Error ClientRequest::not_an_answer(int status, std::string_view body) {
    std::string start;
    for (const char c : body.substr(0, 160)) start.push_back(c >= ' ' && c < 0x7f ? c : ' ');
    return Error{
        ErrorCode::kUpstreamInvalid,
        fmt::format("the upstream answered with status {} and a body that is not JSON: \"{}\"",
                    status, start),
        "check that `base_url` points to an OpenAI-compatible API",
        {},
        "upstream_invalid_answer"};
}

/// A stream on its way to the client.
struct ClientRequest::Relay {
    Relay(wire::openai::StreamObserver::Options options, const TokenRule& rule,
          tokens::Tokenizer* tokenizer)
        : observer(options), meter(rule, tokenizer) {}
    wire::openai::SseScanner scanner;
    wire::openai::StreamObserver observer;
    AnswerMeter meter;
    bool stopped = false;  // more has come than was reserved: what follows is not shown
    bool rewrite = false;   // events may differ from what came in
    bool done = false;      // [DONE] has come: what follows is read and not shown
    std::size_t behind = 0;  // bytes of the piece that lie behind it
    bool captures = false;  // the whole stream is still being kept for a stage
    std::string out;        // rewritten events of one batch
    std::string captured;
    std::optional<Error> broken;
    bool no_store = false;
    bool sums_logprobs = false;
    bool usage_lost = false;  // the connection broke before it could be told
};

void ClientRequest::begin_attempt(const providers::Provider& provider) {
    attempt_ = {};
    logprobs_ = {};
    attempt_.number = ++attempts_made_;
    attempt_.provider = provider.name;
    attempt_.model = context_.model->name;
    attempt_.tier = tier_asked(provider);
    attempt_start_ = monotonic_now();
    attempt_open_ = true;
}

void ClientRequest::end_attempt(int status, ledger::EndState end,
                                const wire::usage::UsageReading& reading) {
    if (!attempt_open_) return;
    attempt_open_ = false;
    attempt_.http_status = status;
    attempt_.end = end;
    attempt_.total_us = to_us(monotonic_now() - attempt_start_);
    price_attempt(*context_.model->price, reading, context_.arrived_unix_us / 1'000'000, attempt_);
    ended_last_ = attempt_.number;
    record_.attempts.push_back(std::move(attempt_));
}

ledger::EndState ClientRequest::end_of(const Error& error) const {
    if (error.code == ErrorCode::kClientGone) return ledger::EndState::kClientGone;
    if (error.code == ErrorCode::kUpstreamTimeout || error.code == ErrorCode::kRequestTimeout) {
        return ledger::EndState::kTimeout;
    }
    return ledger::EndState::kError;
}

/// An answer that had begun broke off before its caller saw any of it.
void ClientRequest::broke_off(int status, const Error& error,
                              const wire::usage::UsageReading& reading) {
    const auto end = end_of(error);
    end_attempt(status, end == ledger::EndState::kError ? ledger::EndState::kCut : end, reading);
    upstream_fields_.clear();
}

/// The request as `context_.model` gets it.
Result<void> ClientRequest::prepare(const providers::Provider& provider,
                                    providers::PreparedRequest& out) {
    losses_.clear();
    choose_tier(provider);
    if (!translates(provider)) return providers::PreparedRequest::prepare(provider, context_, out);
    auto body = upstream_body(provider);
    if (!body) return fail(std::move(body.error()));
    providers::PreparedRequest::prepare_body(provider, context_, std::move(*body), out);
    return {};
}

bool ClientRequest::forbids_storing(const net::ResponseHead& head) {
    return std::any_of(head.fields.begin(), head.fields.end(), [](const net::Field& field) {
        return equals_ignore_case(field.name, "cache-control") && list_has(field.value, "no-store");
    });
}

std::vector<std::pair<std::string, std::string>> ClientRequest::fields_of(
    const net::ResponseHead& head) const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const net::Field& field : head.fields) {
        // A caller that we limit gets our figures, not those of our own key at the provider.
        if (limit_view_.any() &&
            equals_ignore_case(std::string_view(field.name).substr(0, 12), "x-ratelimit-"))
            continue;
        if (providers::passes_to_client(field.name)) out.emplace_back(field.name, field.value);
    }
    return out;
}

/// The body of an answer that is no stream, and what its head says of it. nullopt: it broke off, and its caller knows.
Task<std::optional<std::string_view>> ClientRequest::whole_answer(net::UpstreamCall& call,
                                                                  pipeline::Outcome& outcome) {
    const int status = call.head().status;
    outcome.no_store = forbids_storing(call.head());
    keep_upstream_fields(call.head());
    auto body = co_await call.read_all(kMaxBufferedAnswer);
    if (body) co_return *body;
    broke_off(status, body.error());
    co_await refuse(std::move(body.error()));
    co_return std::nullopt;
}

Task<void> ClientRequest::deliver_buffered(net::UpstreamCall& call) {
    const int status = call.head().status;
    pipeline::Outcome outcome;
    const auto body = co_await whole_answer(call, outcome);
    if (!body) co_return;
    const auto facts = wire::openai::read_answer(context_.endpoint, *body,
                                                 snapshot_->provider(*context_.model).flavour);
    const bool ok = status == 200 && facts.valid && !facts.is_error;
    attempt_.finish_reason = facts.finish_reason;
    attempt_.model_reported = facts.model;
    end_attempt(status, ok ? ledger::EndState::kOk : ledger::EndState::kError, facts.usage);
    if (facts.usage.sum_mismatch || facts.usage.clamped) context_.note("usage", "mismatch");
    if (!facts.valid) {
        upstream_fields_.clear();
        constexpr std::size_t kLook = 1024;  // more than is shown of it
        std::string begin(body->substr(0, kLook));
        providers::hide_credential(snapshot_->provider(*context_.model), begin);
        Error error = not_an_answer(status, begin);
        co_await refuse(std::move(error));
        co_return;
    }
    outcome.status = status;
    outcome.complete = ok;
    outcome.form = pipeline::AnswerForm::kJson;
    outcome.usage = facts.usage.usage;
    outcome.usage_state = facts.usage.state;
    outcome.finish_reason = facts.finish_reason;
    outcome.model_reported = facts.model;
    if (ok && body->size() <= context_.capture_bytes) outcome.captured = *body;
    if (ok && keeps_outcome()) logprobs_.add_answer(*body);
    if (!ok) record_.error = "upstream_error";
    settle(outcome, ok ? ledger::EndState::kOk : ledger::EndState::kError);
    co_await exchange_.respond(status, answer_fields({}, true), *body);
}

Task<void> ClientRequest::deliver_stream(net::UpstreamCall& call, Opening& opening) {
    wire::openai::StreamObserver::Options options;
    options.hide_usage = opening.hide_usage;
    options.choices = context_.view.n;
    options.flavour = snapshot_->provider(*context_.model).flavour;
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    Relay relay(options, rule, worker_.tokenizers.of(rule));
    // Event by event, so that none is shown that was not paid for.
    relay.rewrite = opening.hide_usage || budget_output_ > 0;
    relay.captures = context_.capture_bytes > 0;
    relay.no_store = opening.no_store;
    relay.sums_logprobs = keeps_outcome();
    worker_.metrics.streams(1);
    std::optional<Error> broken;
    const bool begun = co_await exchange_.begin_stream(200, answer_fields({}, false));
    bool goes_on = begun || stays();
    Result<std::span<const std::string_view>> pieces = std::move(opening.first);
    while (goes_on) {
        if (!pieces) broken = std::move(pieces.error());
        if (!pieces || pieces->empty()) break;
        const bool sent = co_await relay_pieces(relay, *pieces);
        if (relay.stopped) {
            call.release();
            broken = passed_reservation();
            break;
        }
        if (relay.broken) break;  // what is no stream of events to us is none to the client
        goes_on = sent || stays();
        if (goes_on) pieces = co_await call.read_some();
    }
    worker_.metrics.streams(-1);
    if (!goes_on) {
        settle_relay(relay, ledger::EndState::kClientGone);
        co_return;  // dropping the call stops the upstream
    }
    co_await finish_relay(relay, std::move(broken));
}

void ClientRequest::watch_events(Relay& relay, std::string_view bytes) {
    relay.scanner.feed(bytes);
    wire::openai::SseEvent event;
    for (;;) {
        auto more = relay.scanner.next(event);
        if (!more) relay.broken = std::move(more.error());
        if (!more || !*more) return;
        const std::string_view shown = relay.observer.observe(event);
        if (event.has_data && !relay.done) {
            relay.meter.add(event.data);
            if (relay.sums_logprobs) logprobs_.add_answer(event.data);
            relay.stopped = budget_output_ > 0 && relay.meter.passed(budget_output_) &&
                            !relay.observer.facts().finished;
            if (relay.stopped) return;
        }
        if (relay.done) continue;
        if (relay.rewrite) relay.out.append(shown);
        relay.done = event.data == kDone;
        if (relay.done) relay.behind = relay.scanner.behind();
    }
}

Task<bool> ClientRequest::relay_pieces(Relay& relay, std::span<const std::string_view> pieces) {
    relay.out.clear();
    const bool was_done = relay.done;
    std::array<std::string_view, net::UpstreamCall::kMaxPieces> shown;
    std::size_t count = 0;
    for (const std::string_view piece : pieces) {
        if (relay.done) {
            if (!relay.broken) watch_events(relay, piece);
            continue;
        }
        if (relay.captures) {
            relay.captures = relay.captured.size() + piece.size() <= context_.capture_bytes;
            if (relay.captures) relay.captured.append(piece);
        }
        if (!relay.broken && !relay.stopped) watch_events(relay, piece);
        shown[count++] = relay.done ? piece.substr(0, piece.size() - relay.behind) : piece;
    }
    if (was_done) co_return true;
    // The client takes [DONE] for the end, so the row must be kept before it is sent.
    if (relay.done) settle_relay(relay, ledger::EndState::kOk);
    if (relay.rewrite) {
        const std::array<std::string_view, 1> rewritten{relay.out};
        const bool sent = co_await exchange_.send(rewritten);
        co_return sent;
    }
    const bool sent = co_await exchange_.send(std::span(shown.data(), count));
    co_return sent;
}

Task<void> ClientRequest::finish_relay(Relay& relay, std::optional<Error> broken) {
    if (broken && broken->code == ErrorCode::kClientGone) {
        settle_relay(relay, ledger::EndState::kClientGone);
        exchange_.break_off();
        co_return;
    }
    wire::openai::SseEvent rest;
    const bool in_event = !relay.broken && !relay.stopped && relay.scanner.finish(rest);
    relay.out.clear();
    if (in_event) relay.out.assign(relay.observer.observe(rest));
    const auto facts = relay.observer.facts();
    if (facts.finished || facts.is_error) {
        relay.usage_lost = broken.has_value();
        settle_relay(relay, facts.is_error ? ledger::EndState::kError : ledger::EndState::kOk);
        if (relay.done || !relay.rewrite) relay.out.clear();
        // Some providers leave it out, and some clients wait for it.
        if (!facts.done && !facts.is_error) {
            if (in_event) relay.out.append("\n\n");
            relay.out.append("data: ").append(kDone).append("\n\n");
        }
        if (!relay.out.empty()) {
            const std::array<std::string_view, 1> pieces{relay.out};
            co_await exchange_.send(pieces);
        }
        co_await exchange_.end_stream();
        co_return;
    }
    // Never let a cut look like an end.
    Error error = Error{ErrorCode::kUpstreamInvalid,
                        "the upstream's stream ended before the answer was complete",
                        "send the request again",
                        {},
                        "upstream_stream_cut"};
    const bool sent_part = !relay.rewrite && (in_event || relay.broken);
    if (relay.broken) error = std::move(*relay.broken);
    if (broken && broken->code != ErrorCode::kUpstreamInvalid) error = std::move(*broken);
    const bool late = error.code == ErrorCode::kUpstreamTimeout;
    record_.error = error.reason;
    settle_relay(relay, late ? ledger::EndState::kTimeout : ledger::EndState::kCut);
    // What came of an event that broke off must not swallow ours: it is ended, or not sent at all.
    const std::string event = (sent_part ? "\n\n" : "") + wire::openai::render_stream_error(error);
    const std::array<std::string_view, 1> pieces{event};
    co_await exchange_.send(pieces);
    co_await exchange_.end_stream();
}

// The provider bills what it made until the end, and never told how much: we count.
void ClientRequest::count_own(Relay& relay, wire::openai::UsageReading& usage) {
    if (context_.view.echo) return;  // the prompt that came back would count as output
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    const auto own = count_cut_stream(context_.body, rule, context_.model->upstream_name,
                                      worker_.tokenizers.of(rule), relay.meter);
    if (!own) return;
    const auto tier = usage.tier;
    usage = own->usage;
    usage.tier = tier;
    attempt_.usage_quality = record_.usage_quality = own->quality;
}

void ClientRequest::settle_relay(Relay& relay, ledger::EndState end) {
    if (settled_) return;
    const auto facts = relay.observer.facts();
    if (facts.is_error && end == ledger::EndState::kOk) end = ledger::EndState::kError;
    if (record_.error.empty() && end == ledger::EndState::kError) record_.error = "upstream_error";
    if (record_.error.empty() && end == ledger::EndState::kClientGone)
        record_.error = "client_gone";
    // One choice of several may have ended; that is no reason for what the others lack.
    if (facts.finished) attempt_.finish_reason = facts.finish_reason;
    attempt_.model_reported = facts.model;
    wire::openai::UsageReading usage = facts.usage;
    const bool refused = facts.is_error && relay.meter.empty();
    const bool never_told = facts.finished && !relay.usage_lost;
    if (usage.state == prices::UsageState::kMissing && !never_told && !refused) {
        count_own(relay, usage);
    }
    end_attempt(200, end, usage);
    if (usage.sum_mismatch || usage.clamped) context_.note("usage", "mismatch");
    pipeline::Outcome outcome;
    outcome.status = 200;
    outcome.complete = end == ledger::EndState::kOk && facts.done && !facts.is_error;
    outcome.no_store = relay.no_store;
    outcome.form = pipeline::AnswerForm::kEventStream;
    if (outcome.complete && relay.captures) outcome.captured = relay.captured;
    outcome.usage = usage.usage;
    outcome.usage_state = usage.state;
    outcome.finish_reason = facts.finish_reason;
    outcome.model_reported = facts.model;
    settle(outcome, end);
}

}  // namespace leeway::app
