#include "lab/replay/cascade_policy.hpp"

#include "wire/canonical/answer.hpp"

#include <fmt/format.h>

#include <utility>
#include <variant>

namespace leeway::lab {
namespace {

cascade::CascadeUse use_of(const cascade::CascadeFile& file,
                           const std::array<pipeline::Model, 2>& models) {
    cascade::CascadeUse out;
    out.weak = &models[0];
    out.strong = &models[1];
    if (file.certificate.certified) out.cut = file.certificate.cut;
    return out;
}

Task<void> run_stage(pipeline::Stage& stage, pipeline::RequestContext& context,
                     std::optional<pipeline::Verdict>& verdict) {
    verdict.emplace(co_await stage.on_request(context));
}

/// The weak model's answer as far as it was recorded.
wire::ChatAnswer answer_of(const RecordedRequest& request, const RecordedAnswer& recorded) {
    wire::ChatAnswer out;
    wire::Choice& choice = out.choices.emplace_back();
    choice.stop = wire::StopReason::kEnd;
    if (recorded.mean_logprob)
        choice.logprobs =
            fmt::format(R"({{"content":[{{"token":"","logprob":{}}}]}})", *recorded.mean_logprob);
    out.usage.usage[prices::Bucket::kInput] = request.tokens_in;
    return out;
}

/// The word before what differs from request to request: "kept" of "kept:0.981".
std::string word_of(std::string_view verdict) {
    return std::string(verdict.substr(0, verdict.find(':')));
}

}  // namespace

ReplayedCascade::ReplayedCascade(const cascade::CascadeFile& file)
    : names_{file.weak, file.strong}, stage_(use_of(file, models_)) {
    for (std::size_t m = 0; m < models_.size(); ++m) models_[m].name = names_[m];
}

std::optional<ReplayedDecision> ReplayedCascade::decide(const RecordedRequest& request) const {
    pipeline::RequestContext context;
    context.view.n = 1;
    context.model = &models_[kStrong];
    std::optional<pipeline::Verdict> verdict;
    spawn(run_stage(stage_, context, verdict), [](const std::exception_ptr&) noexcept {});
    ReplayedDecision out;
    const RecordedAnswer& weak = request.answers[kWeak];
    const auto score = cascade::score_of(answer_of(request, weak));
    const double signal = score ? score->confidence : 0;
    out.signals.assign(models_.size(), {.quality = signal, .cost = signal, .known = signal});
    if (!verdict || !std::holds_alternative<pipeline::Retarget>(*verdict)) {
        out.asked = {kStrong};
        // "cascade=no_evidence": why it did not try.
        out.why = context.notes.substr(context.notes.find('=') + 1);
        return out;
    }
    if (!weak.asked) return std::nullopt;
    const pipeline::TrialVerdict judged =
        context.trial.check->judge(answer_of(request, weak), context);
    if (judged.accepted) {
        out.asked = {kWeak};
        out.why = "kept";
    } else {
        out.asked = {kWeak, kStrong};
        out.why = score ? "refused" : "refused:" + word_of(judged.why);
    }
    return out;
}

}  // namespace leeway::lab
