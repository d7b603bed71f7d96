#include "app/answer_meter.hpp"
#include "app/client_request.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"
#include "net/timer.hpp"
#include "wire/openai/answer.hpp"

#include <algorithm>
#include <coroutine>
#include <utility>

namespace leeway::app {
namespace {

using providers::Hope;

/// Waits until a time, or until it is woken.
class Pause {
public:
    Pause(net::EventLoop& loop, TimePoint until) noexcept
        : timer_(loop.timers(), &Pause::wake, this) {
        timer_.arm(until);
    }
    static void wake(void* self) {
        auto& pause = *static_cast<Pause*>(self);
        pause.timer_.cancel();
        if (pause.waiter_) std::exchange(pause.waiter_, {}).resume();
    }
    [[nodiscard]] bool await_ready() const noexcept { return !timer_.armed(); }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter_ = handle; }
    void await_resume() const noexcept {}

private:
    net::Timer timer_;
    std::coroutine_handle<> waiter_;
};

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

std::int64_t whole_seconds(Duration wait) noexcept {
    constexpr std::int64_t kSecond = Duration(std::chrono::seconds(1)).count();
    return std::max<std::int64_t>((wait.count() + kSecond - 1) / kSecond, 1);
}

}  // namespace

/// What came of a target that gave no answer. Kept until it is known whether another does.
struct ClientRequest::Failure {
    const pipeline::Model* model = nullptr;
    Hope hope = Hope::kNone;
    bool unwell = false;  ///< the target's own fault: its breaker hears of it
    int status = 0;       ///< of the upstream's refusal; 0: none came, `error` says why
    Error error;
    std::int64_t retry_after_s = 0;  ///< with `error`; 0: not known
    std::optional<Duration> told_wait;
    std::string body;
    bool is_json = true;
    std::vector<std::pair<std::string, std::string>> fields;
};

Task<void> ClientRequest::forward() {
    if (worker_.ledger != nullptr && !worker_.ledger->healthy()) {
        Error error{ErrorCode::kUnavailable,
                    "the ledger cannot keep records, so no paid work is taken",
                    "free space on the disk that holds the state folder",
                    {},
                    "ledger_unavailable"};
        co_await refuse(std::move(error), 1);
        co_return;
    }
    const std::vector<const pipeline::Model*> chain = targets();
    std::optional<Failure> failure;
    for (const pipeline::Model* target : chain) {
        const bool over = co_await ask(*target, failure);
        if (over) co_return;
    }
    co_await deliver_failure(std::move(*failure));
}

/// Where a model can be asked, best first.
std::vector<const pipeline::Model*> ClientRequest::places(const pipeline::Model& model) const {
    if (model.targets.empty()) return {&model};
    // Where a session's earlier requests went, or others that begin with the same text, the
    // provider has their prompt in its cache. What is shorter than this is not kept there.
    constexpr std::size_t kPrefix = 1024;
    std::string_view common = context_.dimensions.session;
    if (common.empty()) common = context_.view.messages.in(context_.body).substr(0, kPrefix);
    return snapshot_->places(model, checksum64(common));
}

/// The places of the chosen model, and then those of the models that may stand in for it.
std::vector<const pipeline::Model*> ClientRequest::targets() const {
    const pipeline::Model& chosen = *context_.model;
    std::vector<const pipeline::Model*> out = places(chosen);
    if (context_.held_out) return out;  // shows what there is without us
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    const bool routed = context_.route != nullptr && !context_.route->fallbacks.empty();
    for (const pipeline::Model* model : routed ? context_.route->fallbacks : chosen.fallbacks) {
        if (model == &chosen || (key != nullptr && !key->may_use_model(model->name))) continue;
        // Vectors of different models cannot be compared with each other.
        if (context_.endpoint == pipeline::Endpoint::kEmbeddings &&
            model->upstream_name != chosen.upstream_name)
            continue;
        for (const pipeline::Model* place : places(*model)) out.push_back(place);
    }
    return out;
}

/// Asks `target`, and again where that may help. True: the request is over. False: `failure` says why there is no
/// answer, and another target may be asked.
Task<bool> ClientRequest::ask(const pipeline::Model& target, std::optional<Failure>& failure) {
    const bool stands_in = failure.has_value();
    context_.model = &target;
    for (std::uint32_t retry = 0;; ++retry) {
        Pass pass;
        std::optional<Failure> came;
        const bool well = co_await available(pass, came);
        if (!well) {
            if (!failure) failure = std::move(came);
            co_return false;
        }
        if (retry == 0 && stands_in && !stand_in(*failure)) co_return false;
        const bool over = co_await attempt(pass, came);
        if (over) co_return true;
        if (!came) co_return false;  // it was not made
        came->model = context_.model;
        if (came->hope != Hope::kNone && !deadline_->resume()) came->hope = Hope::kNone;
        if (came->hope == Hope::kNone) {
            // What only this one refuses says nothing about the model that was asked for.
            if (stands_in && came->status >= 400) co_return false;
            co_await deliver_failure(std::move(*came));
            co_return true;
        }
        failure = std::move(came);
        const auto wait = wait_before(retry, *failure);
        if (!wait) co_return false;
        const bool goes_on = co_await pause(*wait);
        if (!goes_on) {
            Error error = deadline_->error();
            co_await refuse(std::move(error));
            co_return true;
        }
    }
}

/// Whether `context_.model` can be asked now; if not, `failure` says why.
Task<bool> ClientRequest::available(Pass& pass, std::optional<Failure>& failure) {
    const pipeline::Model& model = *context_.model;
    const auto unavailable = [&](Error error, std::int64_t retry_after_s) {
        failure.emplace();
        failure->model = &model;
        failure->error = std::move(error);
        failure->retry_after_s = retry_after_s;
    };
    if (!model.disabled.empty()) {
        unavailable({ErrorCode::kUnavailable,
                     "The model '" + model.name + "' cannot be used: " + model.disabled,
                     {},
                     "model",
                     "provider_disabled"},
                    0);
        co_return false;
    }
    if (providers::Breaker* breaker = snapshot_->breaker(model)) {
        const TimePoint now = monotonic_now();
        if (auto let = breaker->admit(now)) {
            pass.emplace(std::move(*let));
        } else {
            unavailable(
                {ErrorCode::kUnavailable,
                 "The model '" + model.name + "' is not asked for a moment: its last calls failed.",
                 "try again when Retry-After says", "model", "upstream_unwell"},
                whole_seconds(breaker->wait(now)));
            co_return false;
        }
    }
    if (const auto& tokens = snapshot_->provider(model).tokens) {
        auto ready = co_await tokens->wait_ready(worker_.loop, *deadline_);
        if (!ready) unavailable(std::move(ready.error()), 1);
        if (!ready) co_return false;
    }
    if (snapshot_->provider(model).kind == providers::Kind::kEmbedded) {
        auto ready = co_await snapshot_->models()->wait_ready(worker_.loop, *deadline_);
        if (!ready) unavailable(std::move(ready.error()), 1);
        if (!ready) co_return false;
    }
    co_return true;
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

/// Asks `context_.model` once. True: the request is over. False: `failure` says what came of it or, when empty, that
/// it was not made: there is no budget for it, or the request cannot be translated for a model that stands in.
Task<bool> ClientRequest::attempt(Pass& pass, std::optional<Failure>& failure) {
    const bool budgeted = snapshot_->budgets() != nullptr;
    if (budgeted && budget_attempt_ == 0) {
        const pipeline::Model* const chosen = context_.model;
        auto refusal = co_await pass_budgets();
        if (refusal) {
            co_await refuse(std::move(refusal->error), refusal->retry_after_s);
            co_return true;
        }
        if (context_.model != chosen) {
            pass.reset();
            const bool well = co_await available(pass, failure);
            if (!well) {
                release_budget();
                co_await deliver_failure(std::move(*failure));
                co_return true;
            }
        }
    }
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    providers::PreparedRequest prepared;
    if (auto made = prepare(provider, prepared); !made) {
        if (!record_.attempts.empty() && !budget_open_) co_return false;
        if (budget_open_) release_budget();
        co_await refuse(std::move(made.error()));
        co_return true;
    }
    if (budgeted && !budget_open_ && reserve_again()) co_return false;
    if (record_.attempts.empty() || record_.attempts.back().provider != provider.name)
        worker_.retry_budgets[provider.name].request();
    net::Timeouts limits = provider.origin.timeouts;
    // The request has one deadline, whoever is asked.
    if (total_ > std::chrono::milliseconds(0)) limits.total = total_;
    total_ = limits.total;
    deadline_->set_timeouts(limits);
    std::optional<providers::TargetLoad::Call> under_way;
    if (auto* load = snapshot_->load(*context_.model)) under_way.emplace(*load, monotonic_now());
    begin_attempt(provider);
    net::UpstreamCall call(worker_.pool, provider.origin, *deadline_);
    const net::UpstreamRequest request = prepared.request();
    auto started = co_await call.start(request);
    worker_.metrics.upstream_connection(call.reused());
    if (!started) {
        no_answer(call.sent(), std::move(started.error()), failure.emplace());
    } else {
        attempt_.first_byte_us = to_us(monotonic_now() - attempt_start_);
        record_.first_byte_us = to_us(monotonic_now() - exchange_.arrival());
        if (call.head().status >= 400) {
            co_await take_refusal(call, failure.emplace());
        } else {
            if (under_way) under_way->answered(monotonic_now());
            const bool delivered =
                co_await take_answer(call, prepared.hides_usage(), pass, failure);
            if (delivered) co_return true;
        }
    }
    if (under_way && failure->hope != Hope::kNone) under_way->failed(monotonic_now());
    if (pass && failure->unwell) pass->failed(monotonic_now());
    if (pass && !failure->unwell && failure->status > 0) pass->succeeded(monotonic_now());
    if (budget_open_) settle_budget();
    co_return false;
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
    failure.told_wait = providers::told_wait(call.head().fields, unix_now_us() / 1'000'000);
    keep_upstream_fields(call.head());
    failure.fields = std::exchange(upstream_fields_, {});
    auto body = co_await call.read_all(kMaxBufferedAnswer);
    if (!body) {
        auto end = end_of(body.error());
        if (end == ledger::EndState::kError) end = ledger::EndState::kCut;
        end_attempt(status, end);
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
}

/// An answer is on its way. Nothing goes to the caller before the first piece of a stream is there: until then another
/// attempt can be made. False: none came.
Task<bool> ClientRequest::take_answer(net::UpstreamCall& call, bool hide_usage, Pass& pass,
                                      std::optional<Failure>& failure) {
    const providers::Provider& provider = snapshot_->provider(*context_.model);
    const auto type = call.head().fields.find("content-type");
    const bool streams = call.head().status == 200 && type &&
                         (type->starts_with("text/event-stream") ||
                          type->starts_with("application/vnd.amazon.eventstream"));
    if (!streams) {
        if (pass) pass->succeeded(monotonic_now());
        if (translates(provider)) {
            co_await deliver_translated(call, provider);
        } else {
            co_await deliver_buffered(call);
        }
        co_return true;
    }
    Opening opening;
    opening.hide_usage = hide_usage;
    opening.no_store = forbids_storing(call.head());
    keep_upstream_fields(call.head());
    auto first = co_await call.read_some();
    if (!first || first->empty()) {
        upstream_fields_.clear();
        Error error{ErrorCode::kUpstreamInvalid,
                    "the upstream's stream ended before the answer had begun",
                    "send the request again",
                    {},
                    "upstream_stream_cut"};
        if (!first && first.error().code != ErrorCode::kUpstreamInvalid)
            error = std::move(first.error());
        ended_unheard(std::move(error), failure.emplace());
        co_return false;
    }
    if (pass) pass->succeeded(monotonic_now());
    opening.first = *first;
    if (translates(provider)) {
        co_await stream_translated(call, provider, opening);
    } else {
        co_await deliver_stream(call, opening);
    }
    co_return true;
}

/// A stream without a first piece. Its provider bills the input all the same, so we count it.
void ClientRequest::ended_unheard(Error error, Failure& failure) {
    const auto reason = deadline_->reason();
    auto end = end_of(error);
    if (end == ledger::EndState::kError) end = ledger::EndState::kCut;
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    AnswerMeter nothing(rule, worker_.tokenizers.of(rule));
    const auto own = count_cut_stream(context_.body, rule, context_.model->upstream_name,
                                      worker_.tokenizers.of(rule), nothing);
    wire::usage::UsageReading usage;
    if (own) {
        usage = own->usage;
        attempt_.usage_quality = own->quality;
    }
    end_attempt(200, end, usage);
    failure.hope = hope_after(reason);
    failure.unwell = failure.hope != Hope::kNone || reason == net::Deadline::Reason::kTotal;
    failure.error = std::move(error);
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
    const TimePoint start = monotonic_now();
    Pause pause(worker_.loop, start + wait);
    {
        const net::Deadline::Guard guard(*deadline_, &Pause::wake, &pause);
        co_await pause;
    }
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
            wire::codec_of(provider.dialect).read_error(failure.status, failure.body);
        failure.body = wire::codec_of(dialect_).write_error(error);
    }
    upstream_fields_ = std::move(failure.fields);
    pipeline::Outcome outcome;
    outcome.status = failure.status;
    outcome.form = pipeline::AnswerForm::kJson;
    if (!record_.attempts.empty()) {
        outcome.usage = record_.attempts.back().usage;
        outcome.usage_state = record_.attempts.back().usage_state;
    }
    record_.error = "upstream_error";
    settle(outcome, ledger::EndState::kError);
    co_await exchange_.respond(failure.status, answer_fields({}, true), failure.body);
}

}  // namespace leeway::app
