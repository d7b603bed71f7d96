#include "app/client_leg.hpp"
#include "guard/auth/key_directory.hpp"
#include "wire/canonical/common.hpp"

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

/// The request for a model on trial: one whole answer, `logprobs`: with the probabilities of its tokens.
Result<void> ClientRequest::prepare_trial(const providers::Provider& provider, bool logprobs,
                                          providers::PreparedRequest& out) {
    losses_.clear();
    choose_tier(provider);
    if (auto read = read_chat(); !read) return fail(std::move(read.error()));
    wire::ChatRequest asked = *request_;
    wants_logprobs_ = asked.logprobs;
    asked.stream = asked.include_usage = false;
    asked.logprobs = logprobs;
    auto body = in_words_of(provider, asked);
    if (!body) return fail(std::move(body.error()));
    // The head says what form of answer is wanted, too.
    const bool streams = std::exchange(context_.view.stream, false);
    providers::PreparedRequest::prepare_body(provider, context_, std::move(*body), out);
    context_.view.stream = streams;
    return {};
}

/// What came of a model on trial. True: the request is over. False: `failure` says why the strong model is to be asked.
Task<bool> ClientRequest::hear_trial(net::UpstreamCall& call, const providers::Provider& provider,
                                     std::optional<Failure>& failure) {
    const int status = call.head().status;
    keep_upstream_fields(call.head());
    auto body = co_await call.read_all(kMaxBufferedAnswer);
    if (!body) {
        const auto reason = deadline_->reason();
        broke_off(status, body.error());
        came_to_nothing(reason, std::move(body.error()), failure.emplace());
        co_return false;
    }
    auto answer = wire::upstream_codec_of(provider.dialect).read_answer(*body, provider.flavour);
    if (!answer) {
        end_attempt(status, ledger::EndState::kError);
        upstream_fields_.clear();
        failure.emplace().hope = providers::Hope::kElsewhere;
        failure->unwell = true;
        failure->error = std::move(answer.error());
        co_return false;
    }
    if (keeps_outcome()) logprobs_.add(answer->choices.front().logprobs);
    end_with(status, *answer);
    const pipeline::TrialVerdict verdict = context_.trial.check->judge(*answer, context_);
    context_.note("cascade", (verdict.accepted ? "kept:" : "refused:") + verdict.why);
    worker_.metrics.tried(context_.route->name, verdict.accepted ? "kept" : "refused");
    if (!verdict.accepted) {
        failure.emplace().unconvincing = true;
        if (context_.trial.weak_if_strong_fails)
            refused_ = std::make_unique<RefusedAnswer>(
                RefusedAnswer{std::move(*answer), context_.model, ended_last_, losses_});
        upstream_fields_.clear();
        co_return false;
    }
    context_.trial = {};
    co_await deliver_whole(*answer);
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
