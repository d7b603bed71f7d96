#include "app/attempt_end.hpp"
#include "app/client_leg.hpp"
#include "guard/auth/key_directory.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/chat_parts.hpp"
#include "wire/openai/convert.hpp"

#include <utility>

namespace leeway::app {

/// Whether the answer of `context_.model` will be judged before anybody sees it.
bool ClientRequest::on_trial() const noexcept {
    const pipeline::Trial& trial = context_.trial;
    return trial.weak != nullptr && context_.model->name == trial.weak->name;
}

/// A key may not use the weak model, or the request was sent to yet another: then nothing is tried.
void ClientRequest::check_trial() {
    const pipeline::Trial& trial = context_.trial;
    if (trial.weak == nullptr) return;
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    const bool allowed = key == nullptr || key->may_use_model(trial.weak->name);
    if (context_.model == trial.weak && allowed && holder_.empty()) return;
    if (context_.model == trial.weak) context_.model = trial.strong;
    context_.note("cascade", allowed ? "other_model" : "key");
    context_.trial = {};
}

/// The strong model is asked from now on; null: there is no trial.
const pipeline::Model* ClientRequest::end_trial(Course& course) {
    if (context_.trial.weak == nullptr) return nullptr;
    context_.trial.weak = nullptr;
    course = {context_.trial.strong, {}, 0};
    return next_target(course);
}

/// How much of its answer is judged, and whether it comes as a stream.
std::unique_ptr<ClientRequest::Tried> ClientRequest::begin_trial(
    const providers::Provider& provider) {
    const pipeline::EarlyTrial& trial = context_.trial.check->early();
    auto out = std::make_unique<Tried>();
    TrialStream::Limits limits;
    if (context_.view.stream && trial.hold_back > 0) {
        limits.tokens = trial.hold_back;
    } else if (trial.give_up_after > 0 && provider.quirks.stream_options) {
        // Without its usage a stream that ends well would have no price.
        limits.tokens = trial.give_up_after;
        limits.least_logprob = trial.least_logprob;
        limits.whole = true;
    }
    if (limits.tokens == 0) return out;
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    out->stream.emplace(provider.flavour, rule, worker_.tokenizers.of(rule), limits);
    return out;
}

/// The request for a model on trial.
Result<void> ClientRequest::prepare_trial(const providers::Provider& provider, TrialForm form,
                                          providers::PreparedRequest& out) {
    losses_.clear();
    choose_tier(provider);
    if (auto read = read_chat(); !read) return fail(std::move(read.error()));
    wire::ChatRequest asked = *request_;
    wants_logprobs_ = asked.logprobs;
    asked.stream = asked.include_usage = form.streams;
    asked.logprobs = form.logprobs;
    auto body = in_words_of(provider, asked);
    if (!body) return fail(std::move(body.error()));
    // The head says what form of answer is wanted, too.
    const bool streams = std::exchange(context_.view.stream, form.streams);
    providers::PreparedRequest::prepare_body(provider, context_, std::move(*body), out);
    context_.view.stream = streams;
    return {};
}

/// Reads what a model on trial is judged by. What it refused is not read.
Task<void> ClientRequest::read_trial(Leg& leg) {
    Tried& tried = *leg.tried;
    if (leg.call.head().status >= 400) co_return;
    tried.fields = fields_of(leg.call.head());
    if (!is_stream(leg.call.head(), leg.provider, true)) tried.stream.reset();
    if (!tried.stream) {
        auto body = co_await leg.call.read_all(kMaxBufferedAnswer);
        tried.body = std::move(body);
        co_return;
    }
    leg.opening.emplace(open(leg.call.head(), !context_.view.include_usage));
    TrialStream& stream = *tried.stream;
    while (stream.state() == TrialStream::State::kOpen) {
        auto pieces = co_await leg.call.read_some();
        if (!pieces) {
            tried.broken = std::move(pieces.error());
            co_return;
        }
        if (pieces->empty()) stream.end();
        for (const std::string_view piece : *pieces) stream.add(piece);
    }
}

void ClientRequest::tell_verdict(bool accepted, std::string_view word, const std::string& why) {
    std::string note(word);
    note.append(":").append(why);
    context_.note("cascade", note);
    worker_.metrics.tried(context_.route->name, accepted ? "kept" : "refused");
}

/// Whether what came of a model on trial is told; of a stream that goes on: its beginning. Else its row is there, and
/// `tried` says why not. Looks once.
bool ClientRequest::judge_trial(Leg& leg) {
    Tried& tried = *leg.tried;
    if (std::exchange(tried.judged, true)) return tried.accepted;
    attempt_.first_byte_us = to_us(leg.head_at - attempt_start_);
    if (tried.stream) {
        judge_stream(leg);
    } else if (tried.body) {
        judge_whole(leg, *tried.body);
    } else {
        const auto reason = deadline_->reason();
        broke_off(leg.call.head().status, tried.body.error());
        came_to_nothing(reason, std::move(tried.body.error()), tried.failure.emplace());
    }
    return tried.accepted;
}

void ClientRequest::judge_whole(Leg& leg, std::string_view body) {
    Tried& tried = *leg.tried;
    const int status = leg.call.head().status;
    auto answer =
        wire::upstream_codec_of(leg.provider.dialect).read_answer(body, leg.provider.flavour);
    if (!answer) {
        end_attempt(status, ledger::EndState::kError);
        Failure& failure = tried.failure.emplace();
        failure.hope = providers::Hope::kElsewhere;
        failure.unwell = true;
        failure.error = std::move(answer.error());
        return;
    }
    if (keeps_outcome()) logprobs_.add(answer->choices.front().logprobs);
    end_with(status, *answer);
    const pipeline::TrialVerdict verdict = context_.trial.check->judge(*answer, context_);
    tried.accepted = verdict.accepted;
    tried.answer = std::move(*answer);
    tell_verdict(verdict.accepted, verdict.accepted ? "kept" : "refused", verdict.why);
}

/// What a stream that is not read to its end is billed: what its provider told by then, else what came of it by our count.
wire::usage::UsageReading ClientRequest::usage_of(TrialStream& stream) {
    wire::usage::UsageReading usage = stream.usage();
    if (stream.state() == TrialStream::State::kEnded) return usage;
    if (usage.state != prices::UsageState::kMissing) {
        usage.state = prices::UsageState::kPartial;
        return usage;
    }
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    const auto own = count_cut_stream(context_.body, rule, context_.model->upstream_name,
                                      worker_.tokenizers.of(rule), stream.meter());
    if (!own) return usage;
    attempt_.usage_quality = own->quality;
    return own->usage;
}

void ClientRequest::judge_stream(Leg& leg) {
    using State = TrialStream::State;
    Tried& tried = *leg.tried;
    TrialStream& stream = *tried.stream;
    attempt_.model_reported = stream.model();
    const State state = stream.state();
    if (tried.broken || state == State::kBroken) {
        const auto reason = deadline_->reason();
        Error error = tried.broken ? *tried.broken : stream.error();
        if (stream.refused()) {
            attempt_.cost = PicoUsd(0);  // it has made nothing
            end_attempt(200, ledger::EndState::kError);
        } else {
            broke_off(200, error, usage_of(stream));
        }
        Failure& failure = tried.failure.emplace();
        came_to_nothing(reason, std::move(error), failure);
        return;
    }
    if (state == State::kEnded && stream.keeps_whole()) {
        const auto completion = wire::openai::stream_to_completion(stream.text());
        judge_whole(leg, completion ? std::string_view(*completion) : std::string_view());
        return;
    }
    const auto verdict = context_.trial.check->judge_beginning(stream.beginning());
    tried.accepted = verdict.accepted && state != State::kGivenUp;
    if (state == State::kGivenUp) {
        tell_verdict(false, "gave_up", verdict.why);
    } else if (state == State::kEnded) {
        attempt_.finish_reason = wire::openai::finish_reason(stream.stop());
        tell_verdict(tried.accepted, tried.accepted ? "kept" : "refused", verdict.why);
    } else {
        tell_verdict(tried.accepted, tried.accepted ? "early" : "refused_early", verdict.why);
    }
    if (tried.accepted) return;  // the stream goes on, and ends its row
    const bool stopped = state != State::kEnded;
    end_attempt(200, stopped ? ledger::EndState::kClientGone : ledger::EndState::kOk,
                usage_of(stream));
}

/// What came of a model on trial. True: the request is over. False: `failure` says why the strong model is to be asked.
Task<bool> ClientRequest::hear_trial(Leg& leg, std::optional<Failure>& failure) {
    Tried& tried = *leg.tried;
    if (!judge_trial(leg)) {
        leg.call.release();  // who has not ended is stopped
        if (tried.failure) {
            failure = std::move(tried.failure);
            co_return false;
        }
        failure.emplace().unconvincing = true;
        if (tried.answer && context_.trial.weak_if_strong_fails)
            refused_ = std::make_unique<RefusedAnswer>(
                RefusedAnswer{std::move(*tried.answer), context_.model, ended_last_, losses_});
        co_return false;
    }
    context_.trial = {};
    upstream_fields_ = std::move(tried.fields);
    if (tried.answer) {
        co_await deliver_whole(*tried.answer);
        co_return true;
    }
    tried_ = true;
    Opening& opening = *leg.opening;
    opening.judged = true;
    opening.held = std::move(tried.stream->text());
    opening.held_piece[0] = opening.held;
    opening.first = opening.held_piece;
    if (wants_logprobs_ && !translates(leg.provider)) {
        co_await deliver_stream(leg.call, opening);
    } else {
        co_await stream_translated(leg.call, leg.provider, opening);
    }
    co_return true;
}

/// Tells an answer that is known whole, in the form that the caller wants.
Task<void> ClientRequest::deliver_whole(wire::ChatAnswer& answer) {
    if (compares()) told_text_ = wire::whole_text(answer.choices.front());
    // By which it was judged.
    if (!wants_logprobs_)
        for (wire::Choice& choice : answer.choices) choice.logprobs.clear();
    auto told = in_callers_form(
        wire::codec_of(wire::Dialect::kOpenAiChat).write_answer(answer, answer_for()));
    if (!told) {
        co_await refuse(std::move(told.error()));
        co_return;
    }
    pipeline::Outcome outcome;
    outcome.status = 200;
    outcome.form = told->form;
    describe(answer, outcome);
    tried_ = true;
    settle(outcome, ledger::EndState::kOk);
    co_await send_whole(*told);
}

/// The weak model's answer, which did not convince, where the strong model gave none. False: there is none to tell.
Task<bool> ClientRequest::deliver_refused() {
    if (refused_ == nullptr || deadline_->client_left()) co_return false;
    const std::unique_ptr<RefusedAnswer> kept = std::move(refused_);
    context_.model = kept->model;
    context_.note("cascade", "strong_failed");
    worker_.metrics.tried(context_.route->name, "strong_failed");
    losses_ = kept->losses;
    upstream_fields_.clear();
    ended_last_ = kept->attempt;
    co_await deliver_whole(kept->answer);
    co_return true;
}

}  // namespace leeway::app
