#include "methods/cascade/cascade_stage.hpp"

#include "base/random.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "methods/cascade/check/agreement.hpp"
#include "methods/cascade/check/logprobs.hpp"
#include "methods/router/semantic/user_turns.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/common.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace leeway::cascade {
namespace {

using wire::StopReason;

/// What speaks against an answer, whatever its tokens say; empty: nothing. `refuses`: it says so itself.
std::string_view fault_of(StopReason stop, bool refuses) {
    switch (stop) {
        case StopReason::kEnd:
        case StopReason::kStopSequence:
        case StopReason::kToolUse: break;
        case StopReason::kRefusal: return "refusal";
        case StopReason::kFilter: return "filter";
        default: return "cut";
    }
    return refuses ? "refusal" : "";
}

std::string_view fault_of(const wire::Choice& choice) {
    const bool refuses =
        std::any_of(choice.parts.begin(), choice.parts.end(),
                    [](const auto& part) { return part.kind == wire::Part::Kind::kRefusal; });
    return fault_of(choice.stop, refuses);
}

/// Three decimals, and near 1 as many as tell it from 1: a replay reads them from the ledger.
std::string probability_text(double confidence) {
    constexpr double kNear = 0.0099;
    const double rest = std::exp(-confidence);
    const int more = rest < kNear ? static_cast<int>(std::ceil(-std::log10(rest))) : 1;
    return fmt::format("{:.{}f}", probability_of(confidence), 2 + more);
}

}  // namespace

std::optional<Score> score_of(const wire::ChatAnswer& answer) {
    if (answer.choices.size() != 1) return std::nullopt;
    const auto summary = summarise_logprobs(answer.choices.front().logprobs);
    if (!summary) return std::nullopt;
    const auto asked = static_cast<double>(answer.usage.usage.input_total());
    return Score{confidence_of(summary->mean), -asked};
}

std::string_view CascadeStage::obstacle(const pipeline::RequestContext& context) const {
    if (context.endpoint != pipeline::Endpoint::kChatCompletions || context.opaque)
        return "not_chat";
    if (context.model != use_.strong) return "other_model";  // somebody chose before us
    if (!use_.cut) return "no_evidence";
    if (use_.certificate) {
        if (const std::string_view why = use_.certificate->demoted(); !why.empty())
            return why == "drift" ? "demoted:drift" : "demoted:harm";
    }
    if (context.view.n > 1) return "choices";
    if (context.view.has_tools && !use_.tools) return "tools";
    if (context.local_only && !use_.weak->local) return "local_only";
    if (!use_.weak->disabled.empty()) return "disabled";
    return {};
}

Task<pipeline::Verdict> CascadeStage::on_request(pipeline::RequestContext& context) {
    if (const std::string_view why = obstacle(context); !why.empty()) {
        context.note(kInfo.name, why);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    context.trial = {use_.weak, use_.strong, this, use_.weak_if_strong_fails};
    co_return pipeline::Verdict(pipeline::Retarget{use_.weak});
}

/// Asks the strong model, too, when the caller has the weak one's answer, and judges by what it says.
void CascadeStage::audit(std::string text, const Score& score, const OnlineDecision& decision,
                         pipeline::RequestContext& context) const {
    if (agent_cache::says(context, "no-store") || (context.local_only && !use_.strong->local))
        return;
    const pipeline::Model* judge = use_.judge;
    if (judge != nullptr && context.local_only && !judge->local) return;
    std::string question = judge == nullptr
                               ? std::string()
                               : router::user_turns(context.view.messages.in(context.body)).last;
    pipeline::LaterCall call = agent_cache::audit_call(
        context,
        [certificate = use_.certificate, judge, score, decision, weak = std::move(text),
         asked = std::move(question)](
            const pipeline::LaterAnswer& strong) -> std::optional<pipeline::LaterCall> {
            if (!strong.complete) return std::nullopt;
            const auto same = check::say_the_same(weak, strong.text);
            if (same || judge == nullptr) {
                certificate->record(score, decision, !same.value_or(false));
                return std::nullopt;
            }
            pipeline::LaterCall next =
                agent_cache::judge_call(*judge, asked, weak, strong.text,
                                        [certificate, score, decision](std::optional<bool> agrees) {
                                            if (agrees)
                                                certificate->record(score, decision, !*agrees);
                                        });
            next.tag = kCascadeJudgeTag;
            return next;
        });
    call.model = use_.strong;
    call.tag = kCascadeAuditTag;
    context.later.push_back(std::move(call));
}

pipeline::TrialVerdict CascadeStage::judge(const wire::ChatAnswer& answer,
                                           pipeline::RequestContext& context) const {
    if (answer.choices.size() != 1) return {false, "choices"};
    if (const std::string_view fault = fault_of(answer.choices.front()); !fault.empty())
        return {false, std::string(fault)};
    const auto score = score_of(answer);
    if (!score) return {false, "no_logprobs"};
    if (use_.certificate) {
        const OnlineDecision decision = use_.certificate->decide(*score, fast_uniform());
        auto text = wire::whole_text(answer.choices.front());
        if (decision.weak && decision.judge && text)
            audit(std::move(*text), *score, decision, context);
        return {decision.weak, probability_text(score->confidence)};
    }
    const bool accepted = use_.cut && *score >= *use_.cut;
    return {accepted, probability_text(score->confidence)};
}

pipeline::TrialVerdict CascadeStage::judge_beginning(
    const pipeline::AnswerBeginning& beginning) const {
    // It goes on: as if it were to end well.
    const bool ended = beginning.stop != StopReason::kUnset;
    const std::string_view fault =
        fault_of(ended ? beginning.stop : StopReason::kEnd, beginning.refuses);
    if (!fault.empty()) return {false, std::string(fault)};
    if (!beginning.mean_logprob) return {false, "no_logprobs"};
    const double confidence = confidence_of(*beginning.mean_logprob);
    return {use_.cut && confidence >= use_.cut->confidence, probability_text(confidence)};
}

}  // namespace leeway::cascade
