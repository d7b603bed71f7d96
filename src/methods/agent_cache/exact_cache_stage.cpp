#include "methods/agent_cache/exact_cache_stage.hpp"

#include "base/hash.hpp"
#include "base/strings.hpp"
#include "wire/openai/canonical.hpp"
#include "wire/openai/convert.hpp"
#include "wire/openai/sse.hpp"
#include "wire/openai/stream_observer.hpp"

#include <cstring>
#include <string>

namespace leeway::agent_cache {
namespace {

using pipeline::AnswerForm;
using pipeline::CacheMode;
using pipeline::Endpoint;
using pipeline::RequestContext;

constexpr std::string_view kKeyVersion = "leeway-exact-1";
// The largest answer that is held back for storing; the store has its own, configured bound.
constexpr std::size_t kCaptureBytes = 8ULL * 1024 * 1024;

/// The leader's duty, between the request and its outcome.
struct Flight final : pipeline::StageState {
    Sha256 key{};
    SingleFlight::Lease lease;
};

void append_field(std::string& out, std::string_view text) {
    const auto size = static_cast<std::uint64_t>(text.size());
    char bytes[8];
    std::memcpy(bytes, &size, sizeof bytes);
    out.append(bytes, sizeof bytes).append(text);
}

std::uint64_t tenant_number(std::string_view key_name) {
    return key_name.empty() ? 0 : checksum64(key_name);
}

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

bool says(const RequestContext& context, std::string_view word) {
    const auto value = context.headers->header("cache-control");
    return value && list_has(*value, word);
}

/// The stream without the usage chunk that this client did not ask for.
std::string without_usage(std::string_view stream) {
    wire::openai::SseScanner scanner;
    wire::openai::StreamObserver::Options options;
    options.hide_usage = true;
    wire::openai::StreamObserver observer(options);
    std::string out;
    out.reserve(stream.size());
    wire::openai::SseEvent event;
    scanner.feed(stream);
    for (;;) {
        const auto more = scanner.next(event);
        if (!more || !*more) break;
        out.append(observer.observe(event));
    }
    if (scanner.finish(event)) out.append(observer.observe(event));
    return out;
}

/// The stored bytes in the form this client wants.
Result<std::shared_ptr<const std::string>> in_wanted_form(const AnswerPtr& answer,
                                                          const RequestContext& context) {
    const bool stream = context.view.stream;
    if (!stream && !answer->streamed) {
        return std::shared_ptr<const std::string>(answer, &answer->body);  // shares, does not copy
    }
    if (stream && answer->streamed) {
        if (context.view.include_usage)
            return std::shared_ptr<const std::string>(answer, &answer->body);
        return std::make_shared<const std::string>(without_usage(answer->body));
    }
    auto converted =
        stream ? wire::openai::completion_to_stream(answer->body, context.view.include_usage)
               : wire::openai::stream_to_completion(answer->body);
    if (!converted) return fail(std::move(converted.error()));
    return std::make_shared<const std::string>(std::move(*converted));
}

pipeline::Verdict respond(RequestContext& context, const AnswerPtr& answer) {
    auto body = in_wanted_form(answer, context);
    if (!body) return pipeline::Failed{std::move(body.error())};
    context.cache_status = "exact";
    pipeline::Respond out;
    out.answer.body = std::move(*body);
    out.answer.form = context.wanted_form();
    out.answer.usage = answer->usage;
    out.answer.usage_state = answer->usage_state;
    out.answer.finish_reason = answer->finish_reason;
    return out;
}

void interrupt_follower(void* follower) {
    static_cast<SingleFlight::Follower*>(follower)->interrupt();
}
void interrupt_load(void* load) { static_cast<PostedValue<AnswerPtr>*>(load)->interrupt(nullptr); }

std::int64_t now_ms(const RequestContext& context) { return context.arrived_unix_us / 1000; }

/// Memory, then disk.
Task<AnswerPtr> look_up(ExactStore& store, const Sha256& key, RequestContext& context) {
    AnswerPtr answer;
    const auto found = store.find(key, now_ms(context), answer);
    if (found != ExactStore::Lookup::kOnDisk) co_return answer;
    auto loading = store.load(key, *context.executor);
    if (context.interruption != nullptr)
        context.interruption->on_interrupt(&interrupt_load, &loading);
    answer = co_await loading.receive();
    if (context.interruption != nullptr) context.interruption->on_interrupt(nullptr, nullptr);
    co_return answer;
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
            context.interruption->on_interrupt(&interrupt_follower, &ticket.follower);
            SingleFlight::Outcome outcome = co_await ticket.follower.wait();
            context.interruption->on_interrupt(nullptr, nullptr);
            if (outcome.ending == SingleFlight::Ending::kAnswer)
                co_return respond(context, outcome.answer);
            ticket.lease = std::move(outcome.lease);
        } else if (ticket.role == SingleFlight::Role::kLeader) {
            // The last leader may have finished between our look and our joining.
            AnswerPtr answer;
            if (services_.exact->find(*key, now_ms(context), answer) == ExactStore::Lookup::kHit) {
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
    // Only whole answers: no errors, no cut streams, nothing the upstream forbids to keep.
    const bool storable = outcome.complete && !outcome.captured.empty() && !outcome.no_store;
    if (!storable) {
        // A caller that left hands its duty on; an answer that cannot be shared releases all.
        if (outcome.status == 200 && !outcome.complete) return flight->lease.hand_over();
        return flight->lease.finish(nullptr);
    }
    auto answer = std::make_shared<CachedAnswer>();
    answer->body = outcome.captured;
    answer->streamed = outcome.form == AnswerForm::kEventStream;
    answer->model_reported = outcome.model_reported;
    answer->finish_reason = outcome.finish_reason;
    answer->usage = outcome.usage;
    answer->usage_state = outcome.usage_state;
    answer->created_unix_ms = now_ms(context);
    answer->expires_unix_ms =
        answer->created_unix_ms + std::chrono::milliseconds(context.route->cache_ttl).count();
    answer->tenant = tenant_number(context.key_name);
    const AnswerPtr shared = std::move(answer);
    services_.exact->put(flight->key, shared);
    flight->lease.finish(shared);
}

}  // namespace leeway::agent_cache
