#include "methods/router/controller/controller_stage.hpp"

#include "base/money.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "methods/router/controller/plan.hpp"
#include "methods/router/controller/plan_run.hpp"
#include "methods/router/say.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace leeway::router {
namespace {

std::vector<std::string> names_of(const std::vector<StepKind>& kinds) {
    std::vector<std::string> out;
    out.reserve(kinds.size());
    for (const StepKind& kind : kinds) out.push_back(kind.name);
    return out;
}

/// Whether the answer must have a form that only the model that is asked for it can keep.
bool demands_form(const pipeline::RequestContext& context) {
    const std::string_view format =
        wire::openai::find_member(context.body, "response_format").in(context.body);
    if (format.empty() || format == "null") return false;
    const auto node = json::parse_node(format);
    return !node || node->text_of("type") != "text";
}

/// Whether the text of a step can stand for the answer: the caller asks for nothing that only its own call would keep to.
bool takes_any_text(const pipeline::RequestContext& context) {
    const auto given = [&](std::string_view key) {
        return wire::openai::find_member(context.body, key).present();
    };
    return !context.view.answer_limit() && !given("logprobs") && !given("stop");
}

/// What the calls cost that were made since the cost of all was `before`.
std::string cost_since(std::optional<PicoUsd> before, const pipeline::RequestContext& context) {
    const std::optional<PicoUsd>& after = context.asked_cost;
    const auto cost = before && after ? after->minus(*before) : std::nullopt;
    return ",cost:" + (cost ? to_usd_string(*cost) : std::string("unknown"));
}

}  // namespace

ControllerStage::ControllerStage(ControllerUse use)
    : use_(std::move(use)), rules_{names_of(use_.kinds), use_.max_steps} {}

bool ControllerStage::may_all_answer(const pipeline::RequestContext& context) const {
    const auto may = [&](const pipeline::Model& model) {
        return context.asker->may_answer(model);
    };
    return may(*use_.planner) &&
           std::ranges::all_of(use_.kinds, [&](const StepKind& kind) { return may(*kind.model); });
}

std::string_view ControllerStage::obstacle(const pipeline::RequestContext& context) const {
    if (context.endpoint != pipeline::Endpoint::kChatCompletions || context.opaque ||
        context.asker == nullptr || context.executor == nullptr)
        return "not_chat";
    if (context.model != use_.own) return "other_model";  // somebody chose before us
    if (context.view.n > 1) return "choices";
    if (context.view.has_tools) return "tools";
    if (context.view.has_media) return "media";
    if (demands_form(context)) return "format";
    const auto any = [&](auto&& holds) {
        return holds(*use_.planner) || std::ranges::any_of(use_.kinds, [&](const StepKind& kind) {
                   return holds(*kind.model);
               });
    };
    if (context.local_only && any([](const pipeline::Model& one) { return !one.local; }))
        return "local_only";
    if (any([](const pipeline::Model& one) { return !one.disabled.empty(); })) return "disabled";
    // Before the plan is paid: one that cannot be run is worth nothing.
    if (!may_all_answer(context)) return "not_allowed";
    return {};
}

void ControllerStage::tell(std::string_view verdict, const std::string& figures,
                           pipeline::RequestContext& context) const {
    const std::string word(verdict);
    context.note(kInfo.name, word + figures);
    if (use_.tally != nullptr) use_.tally->add(use_.route, word);
}

pipeline::Verdict ControllerStage::join(const Plan& plan, std::span<const std::string> results,
                                        pipeline::RequestContext& context) const {
    const std::vector<std::size_t> last = last_steps(plan);
    if (use_.join_last && last.size() == 1 && takes_any_text(context))
        return say(results[last.front()], context);
    // Behind the rest, which the provider may have in its prompt cache, and in the user's name: what steps say must not
    // weigh as much as what the system says.
    std::string message = ",";
    json::Writer writer(message);
    writer.object().key("role").string("user").key("content").string(results_text(plan, results));
    writer.close_object();
    json::Edit edit;
    edit.offset = context.view.messages.end() - 1;
    edit.replacement = std::move(message);
    context.edit(kInfo.name, std::move(edit));
    return pipeline::Continue{};
}

Task<pipeline::Verdict> ControllerStage::on_request(pipeline::RequestContext& context) {
    std::string_view why = obstacle(context);
    ShownConversation shown;
    if (why.empty()) {
        shown = shown_conversation(context.view.messages.in(context.body));
        why = shown.obstacle;
    }
    if (!why.empty()) {
        tell(why, {}, context);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    // The answer needs its time, too.
    Duration limit = use_.timeout;
    if (context.interruption != nullptr)
        limit = std::min(limit, context.interruption->remaining() / 2);
    const TimePoint until = monotonic_now() + limit;
    const std::optional<PicoUsd> before = context.asked_cost;
    pipeline::OwnCall call = plan_call(*use_.planner, use_.kinds, rules_, shown.json);
    auto answer = co_await context.asker->ask_model(std::move(call), limit);
    if (!answer) {
        tell(answer.error().reason, cost_since(before, context), context);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    const auto plan = read_plan(*answer, rules_);
    if (!plan || plan->steps.size() < 2) {
        tell(plan ? std::string_view("single") : plan.error().reason, cost_since(before, context),
             context);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    RunTerms terms;
    terms.kinds = use_.kinds;
    terms.max_parallel = use_.max_parallel;
    terms.answer_tokens = use_.answer_tokens;
    terms.until = until;
    terms.conversation = shown.json;
    PlanRun run(*plan, terms, context);
    const bool done = co_await run.run();
    if (!done) {
        tell("step_failed", ":" + run.failure() + cost_since(before, context), context);
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    tell("plan", fmt::format(":{}{}", plan->steps.size(), cost_since(before, context)), context);
    co_return join(*plan, run.results(), context);
}

}  // namespace leeway::router
