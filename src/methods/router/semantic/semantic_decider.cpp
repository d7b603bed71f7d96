#include "methods/router/semantic/semantic_decider.hpp"

#include "methods/router/say.hpp"
#include "methods/router/semantic/arguments/argument_report.hpp"
#include "methods/router/semantic/user_turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace leeway::router {
namespace {

constexpr std::string_view kUsualRejection =
    "I am sorry, but I cannot help with that. Please ask me about something else.";

tl::unexpected<Error> unavailable(std::string message, std::string reason) {
    Error error{ErrorCode::kUnavailable, std::move(message), {}, {}, std::move(reason)};
    return fail(std::move(error));
}

TableDecision resolved(const TableUse& use, Decision decision, std::string text) {
    const RouteSet& set = use.table->set();
    TableDecision out;
    std::optional<std::size_t> route = decision.route;
    if (!route && !set.rejection_route.empty()) route = set.find(set.rejection_route);
    if (route) {
        out.name = set.routes[*route].name;
        out.action = &set.routes[*route].action;
        out.model = use.models[*route];
        out.argument_model = use.argument_models[*route];
    } else {
        out.action = &set.rejection;
        out.model = use.models.back();
    }
    out.decision = std::move(decision);
    out.text = std::move(text);
    return out;
}

/// Sends the request on to the model that an action says.
pipeline::Verdict send_on(const RouteAction& action, const pipeline::Model* model,
                          const TableUse& use, pipeline::RequestContext& context) {
    if (action.local_only) {
        const pipeline::Model* const here = model != nullptr ? model : use.local;
        context.local_only = true;
        if (here != nullptr) return pipeline::Retarget{here};
        if (context.model->local) return pipeline::Continue{};
        return pipeline::Reject{{ErrorCode::kUnavailable,
                                 "This request must be answered by a model that runs here, and "
                                 "its route has none",
                                 {},
                                 {},
                                 "local_only"}};
    }
    if (model != nullptr) return pipeline::Retarget{model};
    return pipeline::Continue{};
}

/// Asks the model of the arguments for those that are `wanted`. In a word, what came of it.
Task<std::string> ask_for(const TableDecision& decided, const std::vector<std::size_t>& wanted,
                          const TableUse& use, pipeline::RequestContext& context,
                          std::vector<ArgumentValue>& values) {
    const ArgumentSchema& schema = decided.action->arguments;
    const pipeline::Model& model = *decided.argument_model;
    // What stays here stays here for this too.
    if (decided.action->local_only && !model.local) co_return "local_only";
    pipeline::OwnCall call =
        argument_call(model, schema, wanted, decided.text, day_of(context.arrived_unix_us));
    auto answer =
        co_await context.asker->ask_model(std::move(call), use.table->set().arguments_within);
    if (!answer) co_return std::move(answer.error().reason);
    co_return take_answer(schema, wanted, *answer, values) ? "asked" : "invalid";
}

}  // namespace

Task<Result<TableDecision>> decide(const TableUse& use, pipeline::RequestContext& context) {
    UserTurns turns = user_turns(context.view.messages.in(context.body));
    if (auto known = use.table->rules().without_vector(turns.last))
        co_return resolved(use, std::move(*known), std::move(turns.last));
    const RouteTable::Ready ready = use.table->ready();
    if (ready.router == nullptr)
        co_return unavailable("the utterances are not embedded yet", "not_ready");
    if (context.local_only && !use.embedder->is_local())
        co_return unavailable("its vector would be made elsewhere", "local_only");
    const TimePoint until = monotonic_now() + use.limit;
    std::string text = turns.last;
    std::string scope = context.key_name;
    auto own = co_await use.embedder->embed_within(std::move(scope), std::move(text),
                                                   *context.executor, use.limit);
    if (!own) co_return fail(std::move(own.error()));
    context.asked_vector = {turns.last, own->vector, models::fingerprint_of(*own)};
    if (own->model->fingerprint != ready.fingerprint) {
        use.table->forget(ready.fingerprint);  // so that it is embedded again
        co_return unavailable("the embedding model changed", "model_changed");
    }
    RouteQuery query{turns.last, *own->vector, {}, {}, 0};
    Decision decision = ready.router->decide(query);
    const bool again =
        !decision.route && !turns.before.empty() && ready.router->wants_context(turns.last);
    if (again) {
        std::string before = turns.before;
        std::string same_scope = context.key_name;
        const Duration left = until - monotonic_now();
        auto prior = co_await use.embedder->embed_within(std::move(same_scope), std::move(before),
                                                         *context.executor, left);
        // Without it the text stands alone, as it did.
        if (prior && prior->model->fingerprint == ready.fingerprint) {
            query.prior = turns.before;
            query.prior_vector = *prior->vector;
            decision = ready.router->decide(query);
        }
    }
    co_return resolved(use, std::move(decision), std::move(turns.last));
}

void tell(const TableDecision& decided, std::string_view stage, pipeline::RequestContext& context) {
    const std::string_view name = decided.name.empty() ? "rejected" : decided.name;
    context.semantic_route = fmt::format("{}; p={:.2f}; by={}", name, decided.decision.probability,
                                         to_string(decided.decision.by));
    context.note(stage, name);
}

pipeline::Verdict decline(const RouteSet& set, pipeline::RequestContext& context) {
    return say(
        set.rejection.answer.empty() ? kUsualRejection : std::string_view(set.rejection.answer),
        context);
}

pipeline::Verdict undecided(Error why, const pipeline::StageInfo& stage, const RouteSet& set,
                            pipeline::RequestContext& context) {
    if (stage.on_error != pipeline::OnError::kReject) return pipeline::Failed{std::move(why)};
    context.note(stage.name, why.reason.empty() ? "undecided" : std::string_view(why.reason));
    return decline(set, context);
}

pipeline::Verdict act(const RouteAction& action, const pipeline::Model* model, const TableUse& use,
                      pipeline::RequestContext& context) {
    if (action.reject) return decline(use.table->set(), context);
    if (!action.answer.empty()) return say(action.answer, context);
    return send_on(action, model, use, context);
}

Task<pipeline::Verdict> carry_out(const TableDecision& decided, const TableUse& use,
                                  pipeline::RequestContext& context) {
    const RouteAction& action = *decided.action;
    const ArgumentSchema& schema = action.arguments;
    if (schema.properties.empty()) co_return act(action, decided.model, use, context);
    std::vector<ArgumentValue> values =
        parse_arguments(schema, decided.text, day_of(context.arrived_unix_us));
    const std::vector<std::size_t> wanted = wanted_of(schema, values);
    std::string asked;
    if (!wanted.empty() && decided.argument_model != nullptr && context.asker != nullptr)
        asked = co_await ask_for(decided, wanted, use, context, values);
    const auto found = std::count_if(values.begin(), values.end(), [](const ArgumentValue& one) {
        return one.state == ArgumentState::kFound;
    });
    context.route_arguments = arguments_header(schema, values);
    context.note("arguments", fmt::format("found:{}/{}{}{}", found, values.size(),
                                          asked.empty() ? "" : ",model:", asked));
    if (action.answer.empty()) co_return act(action, decided.model, use, context);
    const auto words = fill_placeholders(action.answer, schema, values);
    co_return words ? say(*words, context) : send_on(action, decided.model, use, context);
}

}  // namespace leeway::router
