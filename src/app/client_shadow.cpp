#include "app/client_leg.hpp"
#include "app/shadow.hpp"
#include "base/hash.hpp"
#include "base/strings.hpp"
#include "guard/auth/key_directory.hpp"

#include <utility>

namespace leeway::app {
namespace {

constexpr std::string_view kTag = "shadow";
constexpr std::uint32_t kMillion = 1'000'000;

/// Budgets of the callers do not pay for it: only those for everyone, and those for the tag.
std::vector<budget::Scope> scopes_of_shadow() {
    return {{budget::ScopeKind::kGlobal, {}}, {budget::ScopeKind::kTag, std::string(kTag)}};
}

bool keeps_to_itself(const pipeline::HeaderSource& headers) {
    const auto wish = headers.header("cache-control");
    return wish && list_has(*wish, "no-store");
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
    std::string text(kTag);
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
    if (!prepare(shadow->provider, prepared)) return false;
    const net::UpstreamRequest request = prepared.request();
    shadow->target = request.target;
    for (const net::Field& field : request.fields)
        shadow->fields.emplace_back(field.name, field.value);
    for (const std::string_view piece : request.body) shadow->body.append(piece);
    if (pass) shadow->pass.emplace(std::move(*pass));
    ledger::RequestRecord& record = shadow->record;
    record.ts_us = unix_now_us();
    record.id = RequestId::make(record.ts_us / 1000);
    record.route = context_.route->name;
    record.endpoint = endpoint_name();
    record.model_asked = context_.view.model;
    record.model = model.name;
    record.provider = model.provider_name;
    record.stream = context_.view.stream;
    record.tags = kTag;
    record.notes = "shadow=of:" + context_.id.text();
    shadow->attempt.provider = model.provider_name;
    shadow->attempt.model = model.name;
    shadow->attempt.tier = tier_asked(shadow->provider);
    if (snapshot_->budgets() != nullptr && !reserve_shadow(*shadow)) return false;
    worker_.shadows.start(worker_, std::move(shadow));
    return true;
}

/// As for any attempt: the most that it can cost is reserved, and lies in the journal, before it is sent.
bool ClientRequest::reserve_shadow(Shadow& shadow) {
    budget::Book& book = *snapshot_->budgets()->book;
    const auto scopes = scopes_of_shadow();
    const auto worst = worst_case(budget_answer_, book.limits(scopes, budget::Unit::kUsd, true));
    if (!worst) return false;
    budget::Reservation wanted;
    wanted.operation = shadow.record.id;
    wanted.scopes = scopes;
    wanted.worst = wanted.floor = *worst;
    wanted.now_s = shadow.record.ts_us / 1'000'000;
    if (book.reserve(wanted)) return false;
    ledger::Intent intent = intent_of(wanted);
    intent.id = shadow.record.id;
    intent.ts_us = shadow.record.ts_us;
    intent.key.clear();
    if (!worker_.ledger->append(intent)) {
        (void)book.release(shadow.record.id, wanted.attempt);
        return false;
    }
    shadow.reserved = *worst;
    return true;
}

}  // namespace leeway::app
