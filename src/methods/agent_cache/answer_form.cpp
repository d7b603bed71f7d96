#include "methods/agent_cache/answer_form.hpp"

#include "base/hash.hpp"
#include "base/strings.hpp"
#include "wire/openai/convert.hpp"
#include "wire/openai/sse.hpp"
#include "wire/openai/stream_observer.hpp"

#include <cstring>
#include <utility>

namespace leeway::agent_cache {
namespace {

using pipeline::RequestContext;

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
    if (!context.view.stream) return as_completion(answer);
    if (answer->streamed) {
        if (context.view.include_usage)
            return std::shared_ptr<const std::string>(answer, &answer->body);
        return std::make_shared<const std::string>(without_usage(answer->body));
    }
    auto converted = wire::openai::completion_to_stream(answer->body, context.view.include_usage);
    if (!converted) return fail(std::move(converted.error()));
    return std::make_shared<const std::string>(std::move(*converted));
}

void interrupt_follower(void* follower) {
    static_cast<SingleFlight::Follower*>(follower)->interrupt();
}
void interrupt_load(void* load) { static_cast<PostedValue<AnswerPtr>*>(load)->interrupt(nullptr); }

}  // namespace

Task<AnswerPtr> look_up(ExactStore& store, const Sha256& key, RequestContext& context) {
    AnswerPtr answer;
    const auto found = store.find(key, arrival_ms(context), answer);
    if (found != ExactStore::Lookup::kOnDisk) co_return answer;
    auto loading = store.load(key, *context.executor);
    if (context.interruption != nullptr)
        context.interruption->on_interrupt(&interrupt_load, &loading);
    answer = co_await loading.receive();
    if (context.interruption != nullptr) context.interruption->on_interrupt(nullptr, nullptr);
    co_return answer;
}

Task<SingleFlight::Outcome> follow(SingleFlight::Follower& follower, RequestContext& context) {
    if (context.interruption != nullptr)
        context.interruption->on_interrupt(&interrupt_follower, &follower);
    SingleFlight::Outcome outcome = co_await follower.wait();
    if (context.interruption != nullptr) context.interruption->on_interrupt(nullptr, nullptr);
    co_return outcome;
}

void append_field(std::string& out, std::string_view text) {
    const auto size = static_cast<std::uint64_t>(text.size());
    char bytes[8];
    std::memcpy(bytes, &size, sizeof bytes);
    out.append(bytes, sizeof bytes).append(text);
}

std::uint64_t tenant_number(std::string_view key_name) {
    return key_name.empty() ? 0 : checksum64(key_name);
}

bool says(const RequestContext& context, std::string_view word) {
    const auto value = context.headers->header("cache-control");
    return value && list_has(*value, word);
}

bool is_storable(const pipeline::Outcome& outcome) {
    return outcome.complete && !outcome.captured.empty() && !outcome.no_store;
}

AnswerPtr answer_from(const RequestContext& context, const pipeline::Outcome& outcome,
                      std::chrono::seconds ttl) {
    auto answer = std::make_shared<CachedAnswer>();
    answer->body = outcome.captured;
    answer->streamed = outcome.form == pipeline::AnswerForm::kEventStream;
    answer->model_reported = outcome.model_reported;
    answer->finish_reason = outcome.finish_reason;
    answer->usage = outcome.usage;
    answer->usage_state = outcome.usage_state;
    answer->created_unix_ms = arrival_ms(context);
    answer->expires_unix_ms = answer->created_unix_ms + std::chrono::milliseconds(ttl).count();
    answer->tenant = tenant_number(context.key_name);
    return answer;
}

Result<std::shared_ptr<const std::string>> as_completion(const AnswerPtr& answer) {
    if (!answer->streamed)
        return std::shared_ptr<const std::string>(answer, &answer->body);  // shares, does not copy
    auto converted = wire::openai::stream_to_completion(answer->body);
    if (!converted) return fail(std::move(converted.error()));
    return std::make_shared<const std::string>(std::move(*converted));
}

Result<pipeline::StageAnswer> stage_answer(const AnswerPtr& answer, const RequestContext& context) {
    auto body = in_wanted_form(answer, context);
    if (!body) return fail(std::move(body.error()));
    pipeline::StageAnswer out;
    out.body = std::move(*body);
    out.form = context.wanted_form();
    out.usage = answer->usage;
    out.usage_state = answer->usage_state;
    out.finish_reason = answer->finish_reason;
    return out;
}

}  // namespace leeway::agent_cache
