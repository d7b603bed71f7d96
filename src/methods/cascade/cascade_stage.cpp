#include "methods/cascade/cascade_stage.hpp"

#include "base/random.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "methods/agent_cache/answer_judge.hpp"
#include "methods/cascade/check/agreement.hpp"
#include "methods/cascade/check/logprobs.hpp"
#include "methods/router/semantic/user_turns.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/common.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

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

/// Of the request, where it has one and that is looked at: finding it reads the body once more.
std::string_view format_of(const pipeline::RequestContext& context,
                           const check::AnswerChecks& checks) {
    if (!checks.schema) return {};
    return wire::openai::find_member(context.body, "response_format").in(context.body);
}

Score score_of(double mean_logprob, std::int64_t input_tokens) {
    return {confidence_of(mean_logprob), -static_cast<double>(input_tokens)};
}

/// Whether more calls may be made of what the request asks.
bool may_ask_more(const pipeline::RequestContext& context, const pipeline::Model* judge) {
    if (agent_cache::says(context, "no-store")) return false;
    return judge == nullptr || judge->local || !context.local_only;
}

/// Two answers to one question.
struct Pair {
    const std::string& weak;
    const std::string& strong;
    const std::string& asked;
    const pipeline::Model* judge;  ///< null: those that differ are harm
};

/// Tells `harm` whether the weak one would have been harm, at once or when the judge has been asked, which is returned.
std::optional<pipeline::LaterCall> judged(const Pair& pair, std::function<void(bool)> harm) {
    const auto same = check::say_the_same(pair.weak, pair.strong);
    if (same || pair.judge == nullptr) {
        harm(!same.value_or(false));
        return std::nullopt;
    }
    pipeline::LaterCall next =
        agent_cache::judge_call(*pair.judge, pair.asked, pair.weak, pair.strong,
                                [harm = std::move(harm)](std::optional<bool> agrees) {
                                    if (agrees) harm(!*agrees);
                                });
    next.tag = kCascadeJudgeTag;
    return next;
}

}  // namespace

std::optional<Score> score_of(const wire::ChatAnswer& answer) {
    if (answer.choices.size() != 1) return std::nullopt;
    const auto summary = summarise_logprobs(answer.choices.front().logprobs);
    if (!summary) return std::nullopt;
    return score_of(summary->mean, answer.usage.usage.input_total());
}

std::string_view CascadeStage::obstacle(const pipeline::RequestContext& context) const {
    if (context.endpoint != pipeline::Endpoint::kChatCompletions || context.opaque)
        return "not_chat";
    if (context.model != use_.strong) return "other_model";  // somebody chose before us
    if (context.view.n > 1) return "choices";
    if (context.view.has_tools && !use_.tools) return "tools";
    if (context.local_only && !use_.weak->local) return "local_only";
    if (!use_.weak->disabled.empty()) return "disabled";
    return {};
}

std::string_view CascadeStage::no_certificate() const {
    if (!use_.certificate) return use_.cut ? "" : "no_evidence";
    const std::string_view why = use_.certificate->obstacle();
    if (why == "drift") return "demoted:drift";
    if (why == "harm") return "demoted:harm";
    return why;
}

Task<pipeline::Verdict> CascadeStage::on_request(pipeline::RequestContext& context) {
    if (const std::string_view why = obstacle(context); !why.empty()) {
        context.note(kInfo.name, why);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    if (const std::string_view why = no_certificate(); !why.empty()) {
        context.note(kInfo.name, why);
        begin_learning(context);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    context.trial = {use_.weak, use_.strong, this, use_.weak_if_strong_fails};
    co_return pipeline::Verdict(pipeline::Retarget{use_.weak});
}

/// Of a request that the strong model answers, and that the weak one is asked as well when it has.
struct CascadeStage::Learning final : pipeline::StageState {};

void CascadeStage::begin_learning(pipeline::RequestContext& context) const {
    if (!use_.certificate || !use_.certificate->learns(fast_uniform())) return;
    const bool allowed = context.asker == nullptr || context.asker->may_answer(*use_.weak);
    if (!allowed || !may_ask_more(context, use_.judge)) return;
    context.capture_bytes = std::max(context.capture_bytes, agent_cache::kMostCompared);
    context.keep(this, std::make_unique<Learning>());
}

void CascadeStage::on_outcome(pipeline::RequestContext& context,
                              const pipeline::Outcome& outcome) noexcept {
    if (context.kept(this) == nullptr || !outcome.complete || outcome.from_stage ||
        context.model->name != use_.strong->name)
        return;
    auto text = agent_cache::captured_text(outcome);
    if (!text) return;
    pipeline::LaterCall call = agent_cache::ask_again(
        context, *use_.weak, true,
        [certificate = use_.certificate, judge = use_.judge, checks = use_.checks,
         asked = question_of(context), format = std::string(format_of(context, use_.checks)),
         strong = std::move(*text)](const pipeline::LaterAnswer& weak) {
            // One that would not have been taken whatever its score tells nothing.
            if (!weak.complete || !weak.mean_logprob) return std::optional<pipeline::LaterCall>();
            const Score score = score_of(*weak.mean_logprob, weak.input_tokens);
            if (!check::fault_in(weak.text, format, checks).empty()) {
                certificate->learn(score, false);
                return std::optional<pipeline::LaterCall>();
            }
            return judged({weak.text, strong, asked, judge},
                          [certificate, score](bool harm) { certificate->learn(score, harm); });
        });
    call.tag = kCascadeLearnTag;
    context.later.push_back(std::move(call));
}

std::string CascadeStage::question_of(const pipeline::RequestContext& context) const {
    if (use_.judge == nullptr) return {};
    return router::user_turns(context.view.messages.in(context.body)).last;
}

/// Asks the strong model, too, when the caller has the weak one's answer, and judges by what it says.
void CascadeStage::audit(std::string text, const Score& score, const OnlineDecision& decision,
                         pipeline::RequestContext& context) const {
    if (!may_ask_more(context, use_.judge) || (context.local_only && !use_.strong->local)) return;
    pipeline::LaterCall call =
        agent_cache::ask_again(context, *use_.strong, false,
                               [certificate = use_.certificate, judge = use_.judge, score, decision,
                                weak = std::move(text),
                                asked = question_of(context)](const pipeline::LaterAnswer& strong) {
                                   if (!strong.complete)
                                       return std::optional<pipeline::LaterCall>();
                                   return judged({weak, strong.text, asked, judge},
                                                 [certificate, score, decision](bool harm) {
                                                     certificate->record(score, decision, harm);
                                                 });
                               });
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
    auto text = wire::whole_text(answer.choices.front());
    const std::string_view wrong =
        text ? check::fault_in(*text, format_of(context, use_.checks), use_.checks)
             : std::string_view();
    bool accepted = use_.cut && *score >= *use_.cut;
    if (use_.certificate) {
        // What is refused all the same is not audited; how scores are spread it tells, too.
        constexpr double kNoAudit = 1;
        const OnlineDecision decision =
            use_.certificate->decide(*score, wrong.empty() ? fast_uniform() : kNoAudit);
        accepted = decision.weak;
        if (accepted && decision.judge && text) audit(std::move(*text), *score, decision, context);
    }
    if (!wrong.empty()) return {false, std::string(wrong)};
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
