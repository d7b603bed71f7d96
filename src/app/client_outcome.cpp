// What is kept of an answered request, so that its caller, or a shadow, can say how good the answer was.
#include "app/client_request.hpp"
#include "app/outcome_recorder.hpp"
#include "base/clock.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "methods/router/semantic/user_turns.hpp"
#include "models/embedding.hpp"

#include <algorithm>
#include <utility>

namespace leeway::app {
namespace {

constexpr double kMillion = 1e6;
constexpr std::chrono::milliseconds kPatience{500};

/// With which chance this request's model was chosen, as far as that was left to chance.
double propensity_of(const pipeline::RequestContext& context, ledger::Arm arm) {
    if (arm == ledger::Arm::kNone) return context.chance;
    const double held_out = context.route->holdout_ppm / kMillion;
    return arm == ledger::Arm::kHeldOut ? held_out : (1 - held_out) * context.chance;
}

}  // namespace

bool ClientRequest::keeps_outcome() const {
    return snapshot_->outcomes() != nullptr && context_.route != nullptr &&
           context_.route->outcomes != pipeline::OutcomeKeeping::kOff &&
           context_.endpoint == pipeline::Endpoint::kChatCompletions && !context_.opaque &&
           context_.view.n <= 1 && !agent_cache::says(context_, "no-store");
}

/// Whether the answer is to be compared with that of a shadow.
bool ClientRequest::compares() const {
    return keeps_outcome() && context_.route->shadow != nullptr && !context_.held_out;
}

void ClientRequest::note_outcome(const pipeline::Outcome& outcome) {
    if (!outcome.complete || outcome.from_stage || replayed_ || !keeps_outcome()) return;
    if (adds_messages()) return;  // not what the model makes of the question alone
    const auto attempt =
        std::find_if(record_.attempts.begin(), record_.attempts.end(),
                     [this](const auto& one) { return one.number == ended_last_; });
    if (attempt == record_.attempts.end()) return;
    const std::string_view messages = context_.view.messages.in(context_.body);
    AnsweredCall call;
    call.tenant = context_.key_name;
    call.route = context_.route->name;
    call.text = router::user_turns(messages).last;
    // The same words after others, or beside an image, ask another thing.
    if (context_.view.has_media || context_.view.message_count != 1)
        call.conversation = sha256(messages);
    lab::StoredAnswer& answer = call.answer;
    answer.id = context_.id;
    answer.model = context_.model->name;
    answer.cost = attempt->cost;
    if (attempt->usage_state == prices::UsageState::kFinal) {
        answer.tokens_in = attempt->usage.input_total();
        answer.tokens_out = attempt->usage.output_total();
    }
    answer.latency_ms = static_cast<double>(attempt->total_us) / 1000;
    answer.mean_logprob = logprobs_.mean();
    answer.propensity = propensity_of(context_, record_.arm);
    answer.at_s = unix_now_s();
    if (compares()) {
        if (!told_text_) told_text_ = agent_cache::captured_text(outcome);
        told_call_ = answer;
    }
    if (context_.asked_vector.vector && context_.asked_vector.text == call.text) {
        call.vector = context_.asked_vector;
    } else if (context_.route->outcomes == pipeline::OutcomeKeeping::kEmbed) {
        unembedded_ = call.text;
    }
    snapshot_->outcomes()->offer(std::move(call));
}

/// The vector of what was asked, where no stage made one. Its caller has the answer.
Task<void> ClientRequest::keep_vector() {
    models::Embedder* const embedder = snapshot_->embedder();
    if (unembedded_.empty() || embedder == nullptr) co_return;
    if (context_.local_only && !embedder->is_local()) co_return;
    auto made = co_await embedder->embed_within(context_.key_name, std::move(unembedded_),
                                                worker_.loop, kPatience);
    if (!made) co_return;
    AnswerVector out;
    out.id = context_.id;
    out.tenant = context_.key_name;
    out.vector.fingerprint = models::fingerprint_of(*made);
    out.vector.vector = std::move(made->vector);
    snapshot_->outcomes()->offer(std::move(out));
}

}  // namespace leeway::app
