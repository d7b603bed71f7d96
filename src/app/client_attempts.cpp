#include "app/answer_meter.hpp"
#include "app/client_leg.hpp"
#include "base/random.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"
#include "models/loop_wait.hpp"
#include "net/timer.hpp"
#include "wire/openai/answer.hpp"
#include "wire/openai/sse.hpp"

#include <algorithm>
#include <utility>

namespace leeway::app {
namespace {

using providers::Hope;

constexpr std::size_t kNoMore = static_cast<std::size_t>(-1);  // of a course's targets

/// What is left to be tried after a wait for the upstream that ended like this, without an answer.
Hope hope_after(net::Deadline::Reason reason) noexcept {
    using Reason = net::Deadline::Reason;
    switch (reason) {
        case Reason::kNone:  // it could not be connected to, or broke the connection
        case Reason::kConnect: return Hope::kAgain;
        case Reason::kFirstByte:
        case Reason::kChunks:
            return Hope::kElsewhere;  // it is slow, and may be at work on it still
        case Reason::kTotal:
        case Reason::kClientGone:
        case Reason::kShutdown: return Hope::kNone;
    }
    return Hope::kNone;
}

bool is_events(const net::ResponseHead& head) {
    const auto type = head.fields.find("content-type");
    return type && type->starts_with("text/event-stream");
}

/// The data of a stream's first event, where that is an error.
std::optional<std::string> refusal_in(std::span<const std::string_view> pieces,
                                      const providers::Provider& provider) {
    // Nearly no stream begins so, and the others shall not pay for a second look.
    constexpr std::size_t kLook = 128;
    const std::string_view begin = pieces.front().substr(0, kLook);
    const bool suspect = begin.find("error") != std::string_view::npos ||
                         begin.find("xception") != std::string_view::npos;
    if (!suspect) return std::nullopt;
    const wire::UpstreamCodec& codec = wire::upstream_codec_of(provider.dialect);
    const auto scanner = codec.scanner();
    const auto reader = codec.stream_reader(provider.flavour);
    wire::openai::SseEvent event;
    std::vector<wire::StreamEvent> events;
    for (const std::string_view piece : pieces) {
        scanner->feed(piece);
        for (;;) {
            const auto more = scanner->next(event);
            if (!more) return std::nullopt;
            if (!*more) break;
            if (!reader->read(event, events)) return std::nullopt;
            if (events.empty()) continue;  // comments and the like say nothing
            if (events.front().kind != wire::StreamEvent::Kind::kError) return std::nullopt;
            return std::string(event.data);
        }
    }
    return std::nullopt;
}

/// Whether an event ends in these pieces, which go on where the last ones ended. A limit that is passed ends it, too.
bool ends_event(wire::openai::SseScanner& scanner, std::span<const std::string_view> pieces) {
    wire::openai::SseEvent event;
    for (const std::string_view piece : pieces) {
        scanner.feed(piece);
        const auto ended = scanner.next(event);
        if (!ended || *ended) return true;
    }
    return false;
}

}  // namespace

Task<void> ClientRequest::forward() {
    if (worker_.ledger != nullptr && !worker_.ledger->healthy()) {
        Error error = ledger::no_paid_work();
        co_await refuse(std::move(error), 1);
        co_return;
    }
    Course course{context_.model, {}, 0};
    std::optional<Failure> failure;  // what is told when none answers
    for (;;) {
        const pipeline::Model* target = next_target(course);
        if (target == nullptr) {
            target = end_trial(course);
            if (target != nullptr) failure.reset();
        }
        if (target == nullptr) break;
        const bool stands_in = failure.has_value();
        context_.model = target;
        Next next = Next::kAgain;
        for (std::uint32_t retry = 0; next == Next::kAgain; ++retry) {
            Pass pass;
            std::optional<Failure> came;
            bool usable = available(pass, came);
            const bool waits = usable ? needs_readiness(*context_.model) : came->held.has_value();
            if (waits) {
                if (usable) {
                    usable = co_await wait_ready(came);
                } else {
                    usable = co_await wait_for_limit(course, pass, came);
                }
                if (deadline_->interrupted()) {
                    Error error = deadline_->error();
                    co_await refuse(std::move(error));
                    co_return;
                }
            }
            if (usable && retry == 0 && stands_in) usable = stand_in(*failure);
            if (!usable) {
                if (!failure) failure = std::move(came);
                break;
            }
            const bool over = co_await attempt(course, pass, stands_in, came);
            if (over) co_return;
            if (!came) break;  // it was not made
            if (context_.trial.weak != nullptr) {
                course.next = kNoMore;  // whatever came of it, the strong model is next
                if (deadline_->resume() && !deadline_->client_left()) break;
                if (came->unconvincing) came->error = deadline_->error();
            }
            Duration wait{};
            next = next_after(*came, retry, stands_in, wait);
            if (next == Next::kTell) {
                co_await deliver_failure(std::move(*came));
                co_return;
            }
            if (next != Next::kLeave) failure = std::move(came);
            if (next != Next::kAgain) break;
            const bool goes_on = co_await pause(wait);
            if (!goes_on) {
                Error error = deadline_->error();
                co_await refuse(std::move(error));
                co_return;
            }
        }
    }
    const bool told = co_await deliver_refused();
    if (!told) co_await deliver_failure(std::move(*failure));
}

/// What follows attempt number `retry` (from 0) at `context_.model`, of which this came. `wait` is set with kAgain.
ClientRequest::Next ClientRequest::next_after(Failure& came, std::uint32_t retry, bool stands_in,
                                              Duration& wait) {
    came.model = context_.model;
    if (came.hope != Hope::kNone && !deadline_->resume()) came.hope = Hope::kNone;
    if (deadline_->client_left()) came.hope = Hope::kNone;
    if (came.hope == Hope::kNone) {
        // What only this one refuses says nothing about the model that was asked for.
        return stands_in && came.status >= 400 ? Next::kLeave : Next::kTell;
    }
    const auto before = wait_before(retry, came);
    if (!before) return Next::kElsewhere;
    wait = *before;
    return Next::kAgain;
}

/// `context_.model` is asked instead of the one that failed. False: it would be one retry too many.
bool ClientRequest::stand_in(const Failure& failure) {
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    const bool asked_before =
        std::any_of(record_.attempts.begin(), record_.attempts.end(),
                    [&](const ledger::AttemptRow& row) { return row.provider == provider.name; });
    if (asked_before && !worker_.retry_budgets[provider.name].take()) {
        worker_.metrics.retry(false);
        return false;
    }
    worker_.metrics.fallback();
    const std::string why =
        failure.status > 0 ? std::to_string(failure.status) : failure.error.reason;
    if (failure.model->name == context_.model->name) {
        context_.note("target", failure.model->provider_name + ":" + why);
    } else {
        fell_back_ = true;
        context_.note("fallback", failure.model->name + ":" + why);
    }
    return true;
}

/// Reserves for the first attempt, which may make it one at a cheaper model.
Task<ClientRequest::Reserved> ClientRequest::reserve_first(Pass& pass, bool stands_in) {
    const pipeline::Model* const chosen = context_.model;
    auto refusal = co_await pass_budgets();
    if (refusal) {
        if (stands_in && !deadline_->interrupted()) co_return Reserved::kNo;
        co_await refuse(std::move(refusal->error), refusal->retry_after_s);
        co_return Reserved::kOver;
    }
    if (context_.model == chosen) co_return Reserved::kYes;
    pass.reset();
    std::optional<Failure> failure;
    bool usable = available(pass, failure);
    if (usable && needs_readiness(*context_.model)) usable = co_await wait_ready(failure);
    if (usable) co_return Reserved::kYes;
    release_budget();
    co_await deliver_failure(std::move(*failure));
    co_return Reserved::kOver;
}

/// What the provider of an attempt allows; the request has one deadline, whoever is asked.
void ClientRequest::limit_attempt(const providers::Provider& provider) {
    if (record_.attempts.empty() || record_.attempts.back().provider != provider.name)
        worker_.retry_budgets[provider.name].request();
    net::Timeouts limits = provider.origin.timeouts;
    if (total_ > std::chrono::milliseconds(0)) {
        limits.total = total_;
    } else if (const auto wish = wished_total()) {
        limits.total = std::min(limits.total, *wish);
    }
    total_ = limits.total;
    deadline_->set_timeouts(limits);
}

/// Asks `context_.model` once. True: the request is over. False: `failure` says what came of it or, when empty, that
/// it was not made: there is no budget for it, or the request cannot be translated for a model that stands in.
/// Nothing goes to the caller before the first piece of a stream is there: until then another attempt can be made.
Task<bool> ClientRequest::attempt(Course& course, Pass& pass, bool stands_in,
                                  std::optional<Failure>& failure) {
    const bool budgeted = snapshot_->budgets() != nullptr;
    if (budgeted && hold_.attempt == 0) {
        const Reserved reserved = co_await reserve_first(pass, stands_in);
        if (reserved != Reserved::kYes) co_return reserved == Reserved::kOver;
    }
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    Leg first(worker_, provider, *context_.model, *deadline_);
    if (on_trial()) first.tried = begin_trial(provider);
    auto made = first.tried ? prepare_trial(provider, {first.tried->stream.has_value(), true},
                                            first.prepared)
                            : prepare(provider, first.prepared);
    if (!made) {
        if (hold_.open) release_budget();
        if (stands_in || on_trial()) co_return false;
        co_await refuse(std::move(made.error()));
        co_return true;
    }
    if (budgeted && !hold_.open) {
        if (auto none = reserve_again()) {
            if (!stands_in) failure.emplace().error = std::move(*none);
            co_return false;
        }
    }
    limit_attempt(provider);
    if (auto* load = snapshot_->load(*context_.model))
        first.under_way.emplace(*load, monotonic_now());
    begin_attempt(provider);
    call_ = &first.call;
    std::optional<net::Deadline::Stay> stay;
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    if (key != nullptr && key->drains) stay.emplace(*deadline_, &ClientRequest::grace, this);
    std::unique_ptr<Leg> second;  // is the one that answers
    if (first.tried && context_.trial.check->early().strong_after > Duration::zero()) {
        co_await ask_beside(first, course, pass, failure, second);
        if (failure) co_return false;
    } else if (const auto patience = hedge_after(course, stands_in)) {
        co_await ask_hedged(first, *patience, course, pass, second);
    } else {
        co_await ask(first, *deadline_);
    }
    Leg& leg = second ? *second : first;
    call_ = &leg.call;
    const bool over = co_await hear(leg, pass, failure);
    if (!over) came_of(leg, pass, *failure);
    co_return over;
}

/// What a failure says of its target; its attempt is settled.
void ClientRequest::came_of(Leg& leg, Pass& pass, const Failure& failure) {
    const TimePoint now = monotonic_now();
    if (leg.under_way && failure.hope != Hope::kNone) leg.under_way->failed(now);
    if (pass && failure.unwell) pass->failed(now);
    const bool answered = failure.status > 0 || failure.unconvincing;
    if (pass && !failure.unwell && answered) pass->succeeded(now);
    if (hold_.open) settle_budget();
}

/// Sends the request, and waits for the head of its answer and, of a stream, for its first piece. Of a model on trial:
/// for what is judged.
Task<void> ClientRequest::ask(Leg& leg, net::Deadline& deadline) {
    leg.call.limit_by(deadline);
    const net::UpstreamRequest request = leg.prepared.request();
    auto started = co_await leg.call.start(request);
    leg.started = std::move(started);
    leg.head_at = monotonic_now();
    if (!leg.started) co_return;
    learn_limits(leg.model, leg.call.head());
    if (leg.tried) {
        co_await read_trial(leg);
        co_return;
    }
    if (!is_stream(leg.call.head(), leg.provider, context_.view.stream)) co_return;
    leg.opening.emplace(open(leg.call.head(), leg.prepared.hides_usage()));
    co_await read_opening(leg.call, *leg.opening);
}

/// What came of the attempt under way. True: the request is over.
Task<bool> ClientRequest::hear(Leg& leg, Pass& pass, std::optional<Failure>& failure) {
    const providers::Provider& provider = leg.provider;
    worker_.metrics.upstream_connection(leg.call.reused());
    if (!leg.started) {
        no_answer(leg.call.sent(), std::move(leg.started.error()), failure.emplace());
        co_return false;
    }
    const TimePoint now = leg.head_at;
    attempt_.first_byte_us = to_us(now - attempt_start_);
    record_.first_byte_us = to_us(now - exchange_.arrival());
    if (leg.under_way && leg.call.head().status < 400) leg.under_way->answered(now);
    if (leg.call.head().status >= 400) {
        co_await take_refusal(leg.call, failure.emplace());
        co_return false;
    }
    if (!leg.opening || leg.tried) {
        if (pass) pass->answered(now - attempt_start_, now);
        if (leg.tried) {
            const bool over = co_await hear_trial(leg, failure);
            co_return over;
        }
        if (!translates(provider)) {
            co_await deliver_buffered(leg.call);
        } else if (context_.endpoint == pipeline::Endpoint::kEmbeddings) {
            co_await deliver_embedded(leg.call, provider);
        } else {
            co_await deliver_translated(leg.call, provider);
        }
        co_return true;
    }
    upstream_fields_ = std::move(leg.opening->fields);
    const bool begun = begins(*leg.opening, provider, failure);
    if (!begun) co_return false;
    if (pass) pass->answered(now - attempt_start_, monotonic_now());
    if (translates(provider)) {
        co_await stream_translated(leg.call, provider, *leg.opening);
    } else {
        co_await deliver_stream(leg.call, *leg.opening);
    }
    co_return true;
}

/// `wanted`: a stream was asked for. Google's may be one JSON array.
bool ClientRequest::is_stream(const net::ResponseHead& head, const providers::Provider& provider,
                              bool wanted) {
    const auto type = head.fields.find("content-type");
    if (head.status != 200 || !type) return false;
    if (wanted && provider.dialect == wire::Dialect::kGemini &&
        type->starts_with("application/json"))
        return true;
    return is_events(head) || type->starts_with("application/vnd.amazon.eventstream");
}

void ClientRequest::no_answer(bool sent, Error error, Failure& failure) {
    const auto reason = deadline_->reason();
    // What was sent may be billed, even where we saw no answer.
    if (!sent) attempt_.cost = PicoUsd(0);
    end_attempt(0, end_of(error));
    record_.first_byte_us = 0;
    failure.hope = hope_after(reason);
    // A wrong certificate, or an answer that is none, is not a moment's weakness.
    const bool passing = error.reason == "upstream_unreachable" ||
                         error.reason == "upstream_closed" || deadline_->interrupted();
    if (failure.hope == Hope::kAgain && !passing) failure.hope = Hope::kElsewhere;
    failure.unwell = failure.hope != Hope::kNone || reason == net::Deadline::Reason::kTotal;
    const bool child_broke =
        snapshot_->provider(*context_.model).kind == providers::Kind::kEmbedded &&
        !deadline_->interrupted();
    failure.error = child_broke ? snapshot_->models()->crash_error() : std::move(error);
}

/// The upstream answered with a status of 400 or above.
Task<void> ClientRequest::take_refusal(net::UpstreamCall& call, Failure& failure) {
    const int status = call.head().status;
    failure.hope = providers::hope_of(call.head());
    failure.unwell = status >= 500 || status == 408;
    failure.told_wait = providers::told_wait(call.head().fields, unix_now_s());
    keep_upstream_fields(call.head());
    failure.fields = std::exchange(upstream_fields_, {});
    auto body = co_await call.read_all(kMaxBufferedAnswer);
    if (!body) {
        broke_off(status, body.error());
        if (hope_after(deadline_->reason()) == Hope::kNone) failure.hope = Hope::kNone;
        failure.error = std::move(body.error());
        co_return;
    }
    failure.status = status;
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    wire::usage::UsageReading usage;
    if (!translates(provider)) {
        auto facts = wire::openai::read_answer(context_.endpoint, *body, provider.flavour);
        failure.is_json = facts.valid;
        attempt_.finish_reason = facts.finish_reason;
        attempt_.model_reported = facts.model;
        usage = facts.usage;
    }
    end_attempt(status, ledger::EndState::kError, usage);
    failure.body.assign(*body);
    providers::hide_credential(provider, failure.body);
}

/// What is to be known of a stream when its head's views are gone.
ClientRequest::Opening ClientRequest::open(const net::ResponseHead& head, bool hide_usage) const {
    Opening out;
    out.fields = fields_of(head);
    out.hide_usage = hide_usage;
    out.no_store = forbids_storing(head);
    out.is_events = is_events(head);
    return out;
}

/// Reads on until the first event is whole: no client can use less of it, and an error that comes in pieces must be
/// seen as the one that it is.
Task<void> ClientRequest::read_opening(net::UpstreamCall& call, Opening& opening) {
    constexpr std::size_t kMostHeld = 64 * 1024;  // what is longer is no refusal
    wire::openai::SseScanner scanner;
    for (;;) {
        auto pieces = co_await call.read_some();
        // What broke off nobody has seen any of, and other framings have events of their own.
        if (!pieces || pieces->empty() || !opening.is_events) {
            opening.first = std::move(pieces);
            co_return;
        }
        const bool whole = ends_event(scanner, *pieces);
        if (whole && opening.held.empty()) {
            opening.first = *pieces;
            co_return;
        }
        for (const std::string_view piece : *pieces) opening.held.append(piece);
        opening.held_piece[0] = opening.held;
        opening.first = opening.held_piece;
        if (whole || opening.held.size() > kMostHeld) co_return;
    }
}

/// Whether a stream's first piece is the beginning of an answer; if not, `failure` says what it is.
bool ClientRequest::begins(Opening& opening, const providers::Provider& provider,
                           std::optional<Failure>& failure) {
    if (opening.first && !opening.first->empty()) {
        auto refusal = refusal_in(*opening.first, provider);
        if (!refusal) return true;
        refused_in_stream(std::move(*refusal), failure.emplace());
        return false;
    }
    Error error{ErrorCode::kUpstreamInvalid,
                "the upstream's stream ended before the answer had begun",
                "send the request again",
                {},
                "upstream_stream_cut"};
    if (!opening.first && opening.first.error().code != ErrorCode::kUpstreamInvalid)
        error = std::move(opening.first.error());
    ended_unheard(std::move(error), failure.emplace());
    return false;
}

/// An upstream that is overloaded may say so as the first event of a stream. It has made nothing, and bills nothing.
void ClientRequest::refused_in_stream(std::string body, Failure& failure) {
    attempt_.cost = PicoUsd(0);
    end_attempt(200, ledger::EndState::kError);
    tell_content_type("application/json");
    failure.fields = std::exchange(upstream_fields_, {});
    failure.hope = Hope::kAgain;
    failure.unwell = true;
    failure.status = http_status(ErrorCode::kUpstreamInvalid);
    failure.body = std::move(body);
    providers::hide_credential(snapshot_->provider(*context_.model), failure.body);
}

/// Our own count of the input of the attempt under way, for a stream of which nothing was seen.
wire::usage::UsageReading ClientRequest::count_input() {
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    AnswerMeter nothing(rule, worker_.tokenizers.of(rule));
    const auto own = count_cut_stream(context_.body, rule, context_.model->upstream_name,
                                      worker_.tokenizers.of(rule), nothing);
    if (!own) return {};
    wire::usage::UsageReading usage = own->usage;
    if (held_tokens_ > 0) usage.usage[prices::Bucket::kInput] += held_tokens_;
    attempt_.usage_quality = own->quality;
    return usage;
}

/// Whether it has begun to answer.
bool ClientRequest::answers(const Leg& leg) const {
    if (!leg.started) return false;
    if (!leg.opening) return leg.call.head().status < 400;
    return leg.opening->first && !leg.opening->first->empty() &&
           !refusal_in(*leg.opening->first, leg.provider);
}

/// What is left to be tried after an answer that broke off unseen.
void ClientRequest::came_to_nothing(net::Deadline::Reason reason, Error error,
                                    Failure& failure) const {
    failure.hope = hope_after(reason);
    failure.unwell = failure.hope != Hope::kNone || reason == net::Deadline::Reason::kTotal;
    failure.error = std::move(error);
}

/// A stream without a first piece. Its provider bills the input all the same, so we count it.
void ClientRequest::ended_unheard(Error error, Failure& failure) {
    const auto reason = deadline_->reason();
    broke_off(200, error, count_input());
    came_to_nothing(reason, std::move(error), failure);
}

/// How long to wait before `context_.model` is asked again; nullopt: it is not.
std::optional<Duration> ClientRequest::wait_before(std::uint32_t retry, const Failure& failure) {
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    std::uint64_t most = provider.retries.attempts;
    if (const auto wish = header("x-leeway-retries")) {
        if (const auto number = parse_u64(trim(*wish))) most = std::min(most, *number);
    }
    if (failure.hope != Hope::kAgain || retry >= most) return std::nullopt;
    const std::uint64_t random = fast_random();
    Duration wait = providers::backoff(provider.retries, retry, random);
    if (failure.told_wait) {
        // Sooner it would only be refused again. A little later, as all were told the same.
        if (*failure.told_wait > provider.retries.cap) return std::nullopt;
        const Duration after = providers::backoff(provider.retries, 0, random) / 4;
        wait = std::max(wait, *failure.told_wait + after);
    }
    if (wait >= deadline_->remaining()) return std::nullopt;
    const bool has_room = worker_.retry_budgets[provider.name].take();
    worker_.metrics.retry(has_room);
    if (!has_room) return std::nullopt;
    return wait;
}

/// False: the request was interrupted meanwhile.
Task<bool> ClientRequest::pause(Duration wait) {
    using Wait = models::LoopWait<bool>;
    const TimePoint start = monotonic_now();
    const auto waiting = std::make_shared<Wait>(worker_.loop);
    net::Timer timer(worker_.loop.timers(), &Wait::interrupt, waiting.get());
    timer.arm(start + wait);
    const net::Deadline::Guard guard(*deadline_, &Wait::interrupt, waiting.get());
    Wait& awaited = *waiting;
    co_await awaited;
    waited_ += monotonic_now() - start;
    co_return !deadline_->interrupted();
}

Task<void> ClientRequest::deliver_failure(Failure failure) {
    context_.model = failure.model;
    if (failure.status == 0) {
        co_await refuse(std::move(failure.error), failure.retry_after_s);
        co_return;
    }
    if (!failure.is_json) {
        Error error = not_an_answer(failure.status, failure.body);
        co_await refuse(std::move(error));
        co_return;
    }
    const providers::Provider& provider = snapshot_->provider(*failure.model);
    if (translates(provider) && provider.dialect != dialect_) {
        const Error error =
            wire::upstream_codec_of(provider.dialect).read_error(failure.status, failure.body);
        failure.body = wire::codec_of(dialect_).write_error(error);
    }
    upstream_fields_ = std::move(failure.fields);
    pipeline::Outcome outcome;
    outcome.status = failure.status;
    outcome.form = pipeline::AnswerForm::kJson;
    for (const ledger::AttemptRow& attempt : record_.attempts) {
        if (attempt.number != ended_last_) continue;
        outcome.usage = attempt.usage;
        outcome.usage_state = attempt.usage_state;
    }
    record_.error = "upstream_error";
    settle(outcome, ledger::EndState::kError);
    co_await exchange_.respond(failure.status, answer_fields({}, true), failure.body);
}

}  // namespace leeway::app
