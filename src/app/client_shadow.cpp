#include "app/client_leg.hpp"
#include "app/outcome_recorder.hpp"
#include "app/shadow.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"
#include "methods/cascade/check/agreement.hpp"

#include <algorithm>
#include <utility>

namespace leeway::app {
namespace {

constexpr std::uint32_t kMillion = 1'000'000;

bool keeps_to_itself(const pipeline::HeaderSource& headers) {
    const auto wish = headers.header("cache-control");
    return wish && list_has(*wish, "no-store");
}

/// All that it takes to compare two answers when the request is over.
struct Comparison {
    OutcomeRecorder* recorder = nullptr;
    RequestId id;
    std::string tenant;
    std::string text;  ///< that was told
    lab::StoredCall told;
    std::string shadow_model;
    double share = 1;  ///< of the requests that cast a shadow
    bool told_stands =
        true;  ///< the told answer is what the shadow's is measured by, else the other way round
};

void conclude(const Comparison& work, const ShadowAnswer& answer) {
    const auto same = cascade::check::say_the_same(work.text, answer.text);
    if (!same) return;
    lab::StoredOutcome told{work.told};
    lab::StoredOutcome shadow;
    shadow.model = work.shadow_model;
    shadow.cost = answer.attempt.cost;
    if (answer.attempt.usage_state == prices::UsageState::kFinal) {
        shadow.tokens_in = answer.attempt.usage.input_total();
        shadow.tokens_out = answer.attempt.usage.output_total();
    }
    shadow.latency_ms = static_cast<double>(answer.attempt.total_us) / 1000;
    shadow.mean_logprob = answer.mean_logprob;
    shadow.propensity = work.share;
    shadow.at_s = unix_now_s();
    told.source = shadow.source = lab::OutcomeSource::kShadow;
    told.quality = shadow.quality = 1;
    (work.told_stands ? shadow : told).quality = *same ? 1 : 0;
    work.recorder->offer(
        AnswerOutcomes{work.id, work.tenant, {std::move(told), std::move(shadow)}});
}

}  // namespace

/// Whether the request that was answered is one of those that are copied, by its route and itself.
bool ClientRequest::casts_shadow() const {
    const pipeline::Route& route = *context_.route;
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    if (!answered_ || record_.attempts.empty() || context_.held_out) return false;
    if (context_.endpoint != pipeline::Endpoint::kChatCompletions || keeps_to_itself(*this))
        return false;
    if (key != nullptr && !key->may_use_model(route.shadow->name)) return false;
    if (context_.local_only && !route.shadow->local) return false;
    std::string text(kShadowTag);
    text.append(route.name)
        .append(reinterpret_cast<const char*>(context_.id.bytes.data()), context_.id.bytes.size());
    return checksum64(text) % kMillion < route.shadow_ppm;
}

/// Sends a copy of a request that has been answered to the route's second model. What it is for nobody waits for: where
/// there is no room for it, it is left out and counted.
void ClientRequest::start_shadow() {
    if (!casts_shadow()) return;
    const bool sent = send_shadow();
    worker_.metrics.doubled(sent ? telemetry::Double::kShadow : telemetry::Double::kShadowLeft);
}

bool ClientRequest::send_shadow() {
    const std::string_view body = original_.empty() ? context_.body : original_;
    const bool paid = worker_.ledger != nullptr && worker_.ledger->healthy();
    if (!paid || !worker_.shadows.has_room() || body.size() > Shadows::kMostBody) return false;
    context_.model = places(*context_.route->shadow).front();
    const pipeline::Model& model = *context_.model;
    std::optional<Failure> failure;
    Pass pass;
    if (needs_readiness(model) || !available(pass, failure)) return false;
    auto shadow = std::make_unique<Shadow>(worker_, snapshot_, model);
    providers::PreparedRequest prepared;
    // What is compared comes whole, with the probabilities of its tokens where the provider tells them.
    const bool compared = told_text_ && told_call_;
    const bool logprobs = shadow->provider.dialect == wire::Dialect::kOpenAiChat &&
                          shadow->provider.kind != providers::Kind::kEmbedded;
    const auto prepared_well = compared
                                   ? prepare_trial(shadow->provider, {false, logprobs}, prepared)
                                   : prepare(shadow->provider, prepared);
    if (!prepared_well) return false;
    if (compared) compare_later(*shadow);
    take_request(*shadow, prepared);
    if (pass) shadow->pass.emplace(std::move(*pass));
    ledger::RequestRecord& record = shadow->record;
    record.ts_us = unix_now_us();
    record.id = RequestId::make(record.ts_us / 1000);
    record.route = context_.route->name;
    record.endpoint = endpoint_name();
    record.model_asked = context_.view.model;
    record.model = model.name;
    record.provider = model.provider_name;
    record.stream = context_.view.stream && !compared;
    record.tags = kShadowTag;
    record.notes = "shadow=of:" + context_.id.text();
    shadow->attempt.provider = model.provider_name;
    shadow->attempt.model = model.name;
    shadow->attempt.tier = tier_asked(shadow->provider);
    if (snapshot_->budgets() != nullptr && !reserve_shadow(*shadow)) return false;
    worker_.shadows.start(worker_, std::move(shadow));
    return true;
}

/// What the shadow answers is compared with what was told, where one of the two is the model that the route stands for.
void ClientRequest::compare_later(Shadow& shadow) const {
    const pipeline::Route& route = *context_.route;
    Comparison work;
    work.recorder = snapshot_->outcomes();
    work.id = context_.id;
    work.tenant = context_.key_name;
    work.text = *told_text_;
    work.told = *told_call_;
    work.shadow_model = route.shadow->name;
    work.share = static_cast<double>(route.shadow_ppm) / kMillion;
    const bool told_stands = route.target == nullptr || work.told.model == route.target->name;
    work.told_stands = told_stands;
    if (!told_stands && route.shadow != route.target) return;
    shadow.compare = [work = std::move(work)](const ShadowAnswer& answer) {
        conclude(work, answer);
    };
}

/// As for any attempt: the most that it can cost is reserved, and lies in the journal, before it is sent.
bool ClientRequest::reserve_shadow(Shadow& shadow) {
    budget::Book& book = *snapshot_->budgets()->book;
    const auto worst =
        worst_case(budget_answer_, book.limits(own_scopes(kShadowTag), budget::Unit::kUsd, true));
    return worst && reserve(worker_, shadow, *worst);
}

Task<Result<std::string>> ClientRequest::ask_model(pipeline::OwnCall call, Duration limit) {
    const auto refused = [](std::string reason) {
        return fail(Error{ErrorCode::kForbidden,
                          "that model is not for this request",
                          {},
                          {},
                          std::move(reason)});
    };
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    if (key != nullptr && !key->may_use_model(call.model->name)) co_return refused("not_allowed");
    if (context_.local_only && !call.model->local) co_return refused("local_only");
    // What it costs would be told as ours, where there is to be nothing of ours.
    if (context_.held_out) co_return refused("holdout");
    WaitedCall wanted;
    wanted.snapshot = snapshot_;
    wanted.of = context_.id;
    if (context_.route != nullptr) wanted.route = context_.route->name;
    wanted.call = std::move(call);
    wanted.limit = std::min(limit, remaining());
    WaitedAnswer came = co_await worker_.shadows.ask(worker_, std::move(wanted), *this);
    auto& sum = context_.asked_cost;
    sum = sum && came.cost ? sum->plus(*came.cost) : std::nullopt;
    co_return std::move(came.text);
}

}  // namespace leeway::app
