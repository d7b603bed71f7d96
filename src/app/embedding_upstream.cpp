#include "app/embedding_upstream.hpp"

#include "app/own_call.hpp"
#include "app/worst_case.hpp"
#include "json/write.hpp"
#include "models/embed/fingerprint.hpp"
#include "wire/openai/embed_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace leeway::app {
namespace {

constexpr std::string_view kTag = "embedding";
constexpr std::size_t kMostAnswer = std::size_t{64} << 20U;
// A call that is so late has long been given up by all requests; a model may have to be loaded first.
constexpr std::chrono::milliseconds kLongest{10'000};
constexpr std::chrono::milliseconds kLongestLoad{60'000};

net::Timeouts limits_of(const EmbeddingUpstreamParts& parts) {
    return within(parts.provider.origin.timeouts, parts.host ? kLongestLoad : kLongest);
}

std::string body_of(const pipeline::Model& model, std::span<const std::string> texts, bool cut) {
    std::string out;
    json::Writer json(out);
    json.object().key("model").string(model.upstream_name).key("input").array();
    for (const std::string& text : texts) json.string(text);
    json.close_array();
    if (cut) json.key("truncate").boolean(true);  // our own host's
    json.close_object();
    return out;
}

Error refused(const std::string& model, int status, std::string_view body) {
    constexpr std::size_t kShown = 200;
    const bool fault_of_texts = status == 400 || status == 413 || status == 422;
    return Error{fault_of_texts ? ErrorCode::kInvalidRequest : ErrorCode::kUpstreamInvalid,
                 fmt::format("model '{}' answered with status {}: {}", model, status,
                             models::cut_to_bytes(body, kShown)),
                 {},
                 {},
                 "embedding_refused"};
}

}  // namespace

/// One call, from its admission to its row. Does not move.
struct EmbeddingUpstream::Call {
    Call(EmbeddingLoop& loop, const EmbeddingUpstreamParts& parts)
        : at(loop),
          deadline(loop.loop, limits_of(parts)),
          call(loop.state.pool, parts.provider.origin, deadline) {
        at.calls.push_back(&deadline);
        record.ts_us = unix_now_us();
        record.id = RequestId::make(record.ts_us / 1000);
        record.endpoint = wire::openai::to_string(pipeline::Endpoint::kEmbeddings);
        record.model_asked = record.model = attempt.model = parts.model.name;
        record.provider = attempt.provider = parts.model.provider_name;
        record.tags = kTag;
    }
    ~Call() { std::erase(at.calls, &deadline); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    EmbeddingLoop& at;
    net::Deadline deadline;
    net::UpstreamCall call;
    providers::PreparedRequest prepared;
    std::optional<providers::Breaker::Pass> pass;
    bool has_row = true;
    std::optional<budget::Amount> reserved;
    ledger::RequestRecord record;
    ledger::AttemptRow attempt;
    int status = 0;
    bool good = false;
    std::string print;  ///< as the host tells it
    wire::usage::UsageReading usage;
    Vectors vectors;
};

Task<Result<models::EmbedSource::Vectors>> EmbeddingUpstream::compute(
    std::span<const std::string> texts) {
    if (at_.stopping) co_return fail(ErrorCode::kUnavailable, "the gateway is shutting down");
    if (!parts_.model.disabled.empty())
        co_return fail(ErrorCode::kUnavailable, parts_.model.disabled);
    Call call(at_, parts_);
    if (embedded()) {
        auto ready = co_await parts_.host->supervisor.wait_ready(at_.loop, call.deadline);
        if (!ready) co_return fail(std::move(ready.error()));
    }
    if (parts_.breaker) {
        auto pass = parts_.breaker->admit(monotonic_now());
        if (!pass) {
            co_return fail(ErrorCode::kUnavailable,
                           fmt::format("model '{}' is not asked for a moment: its last calls "
                                       "failed",
                                       parts_.model.name));
        }
        call.pass.emplace(std::move(*pass));
    }
    if (auto reserved = reserve(call, texts); !reserved)
        co_return fail(std::move(reserved.error()));
    pipeline::RequestContext context;
    context.headers = &pipeline::no_headers();
    context.model = &parts_.model;
    context.endpoint = pipeline::Endpoint::kEmbeddings;
    std::string body = body_of(parts_.model, texts, embedded());
    providers::PreparedRequest::prepare_body(parts_.provider, context, std::move(body),
                                             call.prepared);
    auto asked = co_await ask(call, texts.size());
    note_health(call.pass, call.deadline, call.status);
    if (call.has_row) settle(call);
    if (!asked) co_return fail(std::move(asked.error()));
    co_return std::move(call.vectors);
}

/// As for any attempt: the most that it can cost is reserved, and lies in the journal, before it is sent.
Result<void> EmbeddingUpstream::reserve(Call& call, std::span<const std::string> texts) {
    call.record.notes = fmt::format("{}=texts:{}", kTag, texts.size());
    std::int64_t bytes = 0;
    for (const std::string& text : texts) bytes += static_cast<std::int64_t>(text.size());
    const Int128 input = input_bound(bytes, static_cast<std::int64_t>(texts.size()), 0);
    const std::int64_t now_s = call.record.ts_us / 1'000'000;
    const auto cost = worst_cost(*parts_.model.price, now_s, limits_of(parts_).total, input, 0);
    call.has_row = !(embedded() && cost && *cost == 0);
    ledger::Sink* const ledger = at_.state.ledger;
    if (!call.has_row || ledger == nullptr) return {};
    if (!ledger->healthy()) return fail(ledger::no_paid_work());
    if (parts_.budgets == nullptr) return {};
    budget::Book& book = *parts_.budgets;
    if (book.waiting())
        return fail(ErrorCode::kUnavailable, "it is not known yet what the budgets have left");
    // Budgets of the callers do not pay for it: many share one call, and who comes later finds it in the memo.
    if (!cost && book.limits(own_scopes(kTag), budget::Unit::kUsd, true))
        return fail(price_unknown(parts_.model.name));
    const budget::Amount worst{cost.value_or(0), capped(input)};
    auto reserved = reserve_own(book, *ledger, call.record, worst);
    if (reserved) call.reserved = worst;
    return reserved;
}

Task<Result<void>> EmbeddingUpstream::ask(Call& call, std::size_t wanted) {
    const net::UpstreamRequest request = call.prepared.request();
    auto started = co_await call.call.start(request);
    if (!started) {
        if (!call.call.sent()) call.attempt.cost = PicoUsd(0);
        if (embedded() && !call.deadline.interrupted())
            co_return fail(parts_.host->supervisor.crash_error());
        co_return fail(std::move(started.error()));
    }
    call.status = call.call.head().status;
    if (embedded())
        call.print = call.call.head().fields.find(models::kFingerprintField).value_or("");
    auto body = co_await call.call.read_all(kMostAnswer);
    if (!body) co_return fail(std::move(body.error()));
    co_return read(call, *body, wanted);
}

Result<void> EmbeddingUpstream::read(Call& call, std::string_view body, std::size_t wanted) const {
    if (call.status != 200) {
        std::string said(body);
        providers::hide_credential(parts_.provider, said);
        return fail(refused(parts_.model.name, call.status, said));
    }
    auto answer = wire::openai::read_embed_answer(body, parts_.provider.flavour, wanted);
    if (!answer) return fail(std::move(answer.error()));
    call.usage = answer->usage;
    call.attempt.model_reported = answer->model;
    Vectors& out = call.vectors;
    for (const std::string& vector : answer->vectors) {
        const std::size_t before = out.values.size();
        wire::append_numbers(vector, out.values);
        const auto width = static_cast<std::uint32_t>(out.values.size() - before);
        if (out.dimension == 0) out.dimension = width;
        if (width != out.dimension || width == 0) {
            return fail(ErrorCode::kUpstreamInvalid,
                        fmt::format("the vectors of model '{}' differ in length or are empty",
                                    parts_.model.name));
        }
    }
    out.fingerprint = call.print;
    if (out.fingerprint.empty()) {
        out.fingerprint = models::provider_fingerprint(parts_.identity, parts_.model.upstream_name,
                                                       out.dimension);
    }
    call.good = true;
    return {};
}

void EmbeddingUpstream::settle(Call& call) {
    call.attempt.http_status = call.status;
    call.attempt.end = call.good ? ledger::EndState::kOk : ledger::EndState::kError;
    call.attempt.total_us = to_us(call.deadline.elapsed());
    if (!call.good) call.record.error = "upstream_error";
    if (call.deadline.reason() == net::Deadline::Reason::kShutdown)
        call.record.error = "shutting_down";
    settle_own(at_.state, parts_.budgets, call.reserved, *parts_.model.price, call.usage, kTag,
               call.record, call.attempt);
}

void EmbeddingUpstream::stop() noexcept {
    at_.stopping = true;
    // An interruption may end a call at once and take it off the list.
    const std::vector<net::Deadline*> all = at_.calls;
    for (net::Deadline* deadline : all) {
        if (std::find(at_.calls.begin(), at_.calls.end(), deadline) != at_.calls.end())
            deadline->interrupt(net::Deadline::Reason::kShutdown);
    }
}

}  // namespace leeway::app
