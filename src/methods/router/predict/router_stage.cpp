#include "methods/router/predict/router_stage.hpp"

#include "methods/router/predict/conversation.hpp"
#include "methods/router/semantic/user_turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace leeway::router {
namespace {

// Most tokens are longer. What a request is sent off for must fit.
constexpr std::int64_t kBytesPerToken = 3;
// As many texts have it.
constexpr std::int64_t kUsualBytesPerToken = 4;

tl::unexpected<Error> skipped(std::string message, std::string reason) {
    return fail(Error{ErrorCode::kUnavailable, std::move(message), {}, {}, std::move(reason)});
}

/// 0 … 1, from the request and the route only: who has both can draw again.
double draw(const RequestId& id, std::string_view route) {
    std::string text("router\n");
    text.append(route).append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    return static_cast<double>(checksum64(text) >> 11U) * 0x1p-53;
}

/// Of one caller on one route: a session, where the caller tells one, else the messages themselves.
Hash128 conversation_id(const pipeline::RequestContext& context, std::string_view route,
                        std::string_view messages) {
    const std::string& session = context.dimensions.session;
    const Hash128 said = process_hash128(session.empty() ? messages : std::string_view(session));
    std::string text = fmt::format("{}\n{}\n{}\n", context.key_name.size(), context.key_name,
                                   session.empty() ? "messages" : "session");
    text.append(route).append(reinterpret_cast<const char*>(&said), sizeof(said));
    return process_hash128(text);
}

Task<Result<models::Embedded>> embed(const RouterUse& use, std::string text,
                                     pipeline::RequestContext& context) {
    if (text.empty()) co_return skipped("nothing was said", "no_text");
    if (context.local_only && !use.embedder->is_local())
        co_return skipped("its vector would be made elsewhere", "local_only");
    std::string scope = context.key_name;
    auto out = co_await use.embedder->embed_within(std::move(scope), std::move(text),
                                                   *context.executor, use.limit);
    if (!out) {
        Error error = std::move(out.error());
        error.reason = "no_embedding";
        co_return fail(std::move(error));
    }
    if (out->model->fingerprint != use.router->fingerprint() ||
        out->vector->size() != use.router->dimension())
        co_return skipped("the policy was made for another embedding model", "other_embeddings");
    co_return std::move(*out);
}

/// What is predicted of a text, whose vector is known.
std::vector<Prediction> predict(const RouterUse& use, const models::Embedded& embedded,
                                std::string_view text, const pipeline::RequestContext& context) {
    const Hash128 said = process_hash128(text);
    std::string whose(reinterpret_cast<const char*>(&said), sizeof(said));
    whose.append(context.key_name);
    const Hash128 asked = process_hash128(whose);
    std::vector<Prediction> told = use.memo->find(asked);
    if (!told.empty()) return told;
    told = use.cues ? use.router->predict(*embedded.vector, use.cues(text))
                    : use.router->predict(*embedded.vector, text);
    use.memo->put(asked, told);
    return told;
}

}  // namespace

/// Between `on_request` and `on_outcome`.
struct RouterStage::Remembered final : pipeline::StageState {
    Hash128 conversation;
    std::size_t chosen = 0;
};

RequestNeeds needs_of(const pipeline::RequestContext& context) {
    const pipeline::RequestView& view = context.view;
    const std::string_view body = context.body;
    RequestNeeds out;
    out.tools = view.has_tools;
    // A word that stands in a text only makes us more careful.
    out.audio = view.has_media && body.find("\"input_audio\"") != std::string_view::npos;
    out.images =
        view.has_media && (!out.audio || body.find("\"image_url\"") != std::string_view::npos ||
                           body.find("\"file\"") != std::string_view::npos);
    out.schema = body.find("\"json_schema\"") != std::string_view::npos;
    out.tokens = static_cast<std::int64_t>(body.size()) / kBytesPerToken +
                 std::min<std::int64_t>(view.answer_limit().value_or(0), 1'000'000'000);
    return out;
}

bool can_answer(const pipeline::Abilities& able, const RequestNeeds& needs) noexcept {
    return (able.tools || !needs.tools) && (able.images || !needs.images) &&
           (able.audio || !needs.audio) && (able.schema || !needs.schema) &&
           (able.context_tokens == 0 || needs.tokens <= able.context_tokens);
}

std::optional<double> lost_prefix_usd(const pipeline::Model& stay, const pipeline::Model& go,
                                      std::int64_t tokens, std::int64_t unix_s) noexcept {
    const auto price = [&](const pipeline::Model& model,
                           prices::Bucket bucket) -> std::optional<PicoUsd> {
        const prices::RateSheet* sheet = model.price->find(
            {.unix_s = unix_s, .tier = prices::Tier::kStandard, .input_tokens = tokens});
        if (sheet == nullptr || sheet->machine_hour >= 0) return std::nullopt;
        return prices::cost(prices::Usage{{bucket, tokens}}, sheet->rates);
    };
    const auto kept = price(stay, prices::Bucket::kCachedInput);
    const auto again = price(go, prices::Bucket::kInput);
    if (!kept || !again) return std::nullopt;
    return std::max(0.0, in_usd(*again) - in_usd(*kept));
}

bool worth_leaving(const RouteTrade& trade, const Prediction& stay, const Prediction& go,
                   double lost_usd) noexcept {
    if (!trade.learned) return false;
    const double gain = static_cast<double>(go.quality) - static_cast<double>(stay.quality) -
                        trade.lambda * (in_usd(go.cost) - in_usd(stay.cost));
    return gain > trade.margin + trade.lambda * lost_usd;
}

RouterStage::RouterStage(RouterUse use)
    : use_(std::move(use)),
      has_limits_(std::ranges::any_of(use_.models, [](const pipeline::Model* model) {
          return model->abilities != pipeline::Abilities();
      })) {}

ModelSet RouterStage::eligible(const pipeline::RequestContext& context) const {
    const RequestNeeds needs = has_limits_ ? needs_of(context) : RequestNeeds();
    ModelSet out = 0;
    for (std::size_t m = 0; m < use_.models.size(); ++m) {
        const pipeline::Model& model = *use_.models[m];
        const bool may = context.asker == nullptr || context.asker->may_answer(model);
        if (may && model.disabled.empty() && (model.local || !context.local_only) &&
            (!has_limits_ || can_answer(model.abilities, needs)))
            out |= ModelSet{1} << m;
    }
    return out;
}

std::size_t RouterStage::trade(const pipeline::RequestContext& context) const {
    if (use_.pacer != nullptr) return use_.router->trade_for(use_.pacer->lambda());
    return use_.router->trade_at(draw(context.id, use_.route));
}

bool RouterStage::needs_vector() const noexcept {
    const RoutePolicy& policy = use_.router->policy();
    if (use_.pacer != nullptr) return std::ranges::any_of(policy.trades, &RouteTrade::learned);
    const cascade::Mixture& mixture = use_.router->mixture();
    return policy.trades[mixture.first].learned || policy.trades[mixture.second].learned;
}

pipeline::Verdict RouterStage::go_to(std::size_t model, std::string_view why, double chance,
                                     pipeline::RequestContext& context) const {
    std::string word = fmt::format("{}:{}", use_.models[model]->name, why);
    if (chance < 1) word += fmt::format(",p{:.2f}", chance);
    context.note(kInfo.name, word);
    if (chance > 0) context.chance = chance;
    if (auto* kept = static_cast<Remembered*>(context.kept(this))) kept->chosen = model;
    return pipeline::Retarget{use_.models[model]};
}

template <class Decide>
double RouterStage::chance_of(std::size_t model, Decide&& decide) const {
    if (use_.pacer != nullptr) return 1;
    return use_.router->mixture().of(
        [&](std::size_t at) { return decide(at) == model ? 1.0 : 0.0; });
}

std::optional<std::pair<std::size_t, std::int64_t>> RouterStage::recall(
    pipeline::RequestContext& context) const {
    const Conversation said = conversation_of(context.view.messages.in(context.body));
    auto kept = std::make_unique<Remembered>();
    kept->conversation = conversation_id(context, use_.route, said.all);
    kept->chosen = use_.own;
    context.keep(this, std::move(kept));
    if (!said.continues()) return std::nullopt;
    const auto answered = use_.memory->find(conversation_id(context, use_.route, said.before));
    if (!answered) return std::nullopt;
    const auto same = std::ranges::find(use_.models, answered->model, &pipeline::Model::name);
    if (same == use_.models.end()) return std::nullopt;
    const std::int64_t tokens =
        answered->tokens > 0 ? answered->tokens
                             : static_cast<std::int64_t>(said.before.size()) / kUsualBytesPerToken;
    return std::pair(static_cast<std::size_t>(same - use_.models.begin()), tokens);
}

Task<pipeline::Verdict> RouterStage::on_request(pipeline::RequestContext& context) {
    const bool chat = context.endpoint == pipeline::Endpoint::kChatCompletions && !context.opaque;
    if (!chat || context.model != use_.models[use_.own]) {
        context.note(kInfo.name, chat ? "other_model" : "not_chat");  // somebody chose before us
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    const ModelSet able = eligible(context);
    auto before = recall(context);
    if (before && !holds(able, before->first)) before.reset();
    if (able == 0) {
        context.note(kInfo.name, "ineligible");
        co_return pipeline::Verdict(pipeline::Continue{});
    }
    if ((able & (able - 1)) == 0) {  // there is no choice
        const auto only = static_cast<std::size_t>(std::countr_zero(able));
        co_return go_to(only, before ? "sticky" : "ineligible", 1, context);
    }
    const std::int64_t now = context.arrived_unix_us / 1'000'000;
    const auto lost = [&](std::size_t go) {
        return lost_prefix_usd(*use_.models[before->first], *use_.models[go], before->second, now);
    };
    if (before && (!needs_vector() || !lost(before->first)))
        co_return go_to(before->first, "sticky", 1, context);
    const std::size_t at = trade(context);
    if (!needs_vector()) {
        const auto single = [&](std::size_t of) {
            return use_.router->choose(of, {}, able);
        };
        co_return go_to(single(at), "no_evidence", chance_of(single(at), single), context);
    }
    std::string text = user_turns(context.view.messages.in(context.body)).last;
    std::string asked = text;
    auto embedded = co_await embed(use_, std::move(asked), context);
    if (!embedded) {
        if (before) co_return go_to(before->first, "sticky", 1, context);
        // The route's own model answers, unless it cannot.
        if (!holds(able, use_.own))
            co_return go_to(static_cast<std::size_t>(std::countr_zero(able)),
                            embedded.error().reason, 1, context);
        co_return pipeline::Verdict(pipeline::Failed{std::move(embedded.error())});
    }
    const std::vector<Prediction> told = predict(use_, *embedded, text, context);
    context.asked_vector = {std::move(text), embedded->vector, models::fingerprint_of(*embedded)};
    const auto decide = [&](std::size_t of) {
        const std::size_t best = use_.router->choose(of, told, able);
        if (!before || best == before->first) return best;
        const auto price = lost(best);
        const bool leaves = price && worth_leaving(use_.router->policy().trades[of],
                                                   told[before->first], told[best], *price);
        return leaves ? best : before->first;
    };
    const std::size_t chosen = decide(at);
    std::string why = fmt::format("q{:.2f}", told[chosen].quality);
    if (before && chosen == before->first) why = "sticky";
    if (before && chosen != before->first) why += ",switched";
    co_return go_to(chosen, why, chance_of(chosen, decide), context);
}

void RouterStage::on_outcome(pipeline::RequestContext& context,
                             const pipeline::Outcome& outcome) noexcept {
    auto* kept = static_cast<Remembered*>(context.kept(this));
    if (kept == nullptr || outcome.from_stage) return;
    if (use_.pacer != nullptr && outcome.cost) use_.pacer->settle(in_usd(*outcome.cost));
    if (outcome.status != 200) return;
    RouterMemory::Answered answered{use_.models[kept->chosen]->name, 0};
    const bool told = outcome.usage_state == prices::UsageState::kFinal;
    // Of a model that stood in for it we do not know what the chosen one's provider has.
    if (told && context.model->name == answered.model)
        answered.tokens = outcome.usage.input_total() + outcome.usage.output_total();
    use_.memory->put(kept->conversation, std::move(answered));
}

}  // namespace leeway::router
