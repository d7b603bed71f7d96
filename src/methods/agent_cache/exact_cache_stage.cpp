#include "methods/agent_cache/exact_cache_stage.hpp"

#include "base/hash.hpp"
#include "methods/agent_cache/answer_form.hpp"
#include "wire/openai/canonical.hpp"

#include <algorithm>
#include <string>

namespace leeway::agent_cache {
namespace {

using pipeline::CacheMode;
using pipeline::Endpoint;
using pipeline::RequestContext;

constexpr std::string_view kKeyVersion = "leeway-exact-1";

/// The leader's duty, between the request and its outcome.
struct Flight final : pipeline::StageState {
    Sha256 key{};
    SingleFlight::Lease lease;
};

/// nullopt-like false: the request has no clear meaning (a key given twice) and is not cached.
Result<Sha256> key_of(const RequestContext& context, ShardedKeyMemo& memo) {
    std::string bytes;
    bytes.reserve(256);
    append_field(bytes, kKeyVersion);
    append_field(bytes, context.key_name);
    append_field(bytes, wire::openai::to_string(context.endpoint));
    append_field(bytes, context.model->provider_name);
    append_field(bytes, context.model->name);
    append_field(bytes, context.model->upstream_name);
    const Hash128 body = process_hash128(context.body);
    if (const auto known = memo.find(bytes, body)) return *known;
    const std::size_t scope = bytes.size();
    bytes.reserve(scope + context.body.size() * 2);
    if (auto added = wire::openai::append_canonical(context.body, bytes); !added)
        return fail(std::move(added.error()));
    const Sha256 key = sha256(bytes);
    memo.put(std::string_view(bytes).substr(0, scope), body, key);
    return key;
}

bool eligible(const RequestContext& context) {
    // A stored answer is given in both forms, and only those of chat can be turned into each other.
    if (context.endpoint == Endpoint::kCompletions) return false;
    if (context.route == nullptr || context.route->exact_cache == CacheMode::kOff) return false;
    if (context.route->exact_cache == CacheMode::kOn) return true;
    return context.endpoint != Endpoint::kChatCompletions || context.view.temperature == 0.0;
}

pipeline::Verdict respond(RequestContext& context, const AnswerPtr& answer) {
    auto given = stage_answer(answer, context);
    if (!given) return pipeline::Failed{std::move(given.error())};
    context.cache_status = "exact";
    return pipeline::Respond{std::move(*given)};
}

}  // namespace

Task<pipeline::Verdict> ExactCacheStage::on_request(RequestContext& context) {
    const bool wanted = eligible(context) && !says(context, "no-store");
    if (!wanted) co_return pipeline::Verdict(pipeline::Continue{});
    auto key = key_of(context, *services_.keys);
    if (!key) co_return pipeline::Verdict(pipeline::Failed{std::move(key.error())});

    context.cache_status = "miss";
    const bool refresh = says(context, "no-cache");
    if (!refresh) {
        AnswerPtr answer = co_await look_up(*services_.exact, *key, context);
        if (answer) co_return respond(context, answer);
    }
    auto flight = std::make_unique<Flight>();
    flight->key = *key;
    if (!refresh) {
        SingleFlight::Ticket ticket = services_.flights->join(*key, *context.executor);
        if (ticket.role == SingleFlight::Role::kFollower) {
            SingleFlight::Outcome outcome = co_await follow(ticket.follower, context);
            if (outcome.ending == SingleFlight::Ending::kAnswer)
                co_return respond(context, outcome.answer);
            ticket.lease = std::move(outcome.lease);
        } else if (ticket.role == SingleFlight::Role::kLeader) {
            // The last leader may have finished between our look and our joining.
            AnswerPtr answer;
            if (services_.exact->find(*key, arrival_ms(context), answer) ==
                ExactStore::Lookup::kHit) {
                ticket.lease.finish(answer);
                co_return respond(context, answer);
            }
        }
        flight->lease = std::move(ticket.lease);
    }
    context.capture_bytes = std::max(context.capture_bytes, kCaptureBytes);
    context.keep(this, std::move(flight));
    co_return pipeline::Verdict(pipeline::Continue{});
}

void ExactCacheStage::on_outcome(RequestContext& context,
                                 const pipeline::Outcome& outcome) noexcept {
    auto* flight = static_cast<Flight*>(context.kept(this));
    if (flight == nullptr) return;
    if (!is_storable(outcome)) {
        // A caller that left hands its duty on; an answer that cannot be shared releases all.
        if (outcome.status == 200 && !outcome.complete) return flight->lease.hand_over();
        return flight->lease.finish(nullptr);
    }
    const AnswerPtr answer = answer_from(context, outcome, context.route->cache_ttl);
    services_.exact->put(flight->key, answer);
    flight->lease.finish(answer);
}

}  // namespace leeway::agent_cache
