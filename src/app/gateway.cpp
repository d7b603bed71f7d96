#include "app/gateway.hpp"

#include "app/client_batches.hpp"
#include "app/client_feedback.hpp"
#include "app/client_request.hpp"
#include "app/client_stored.hpp"
#include "app/places.hpp"
#include "app/recorded_exchange.hpp"
#include "wire/anthropic/models_list.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/gemini/models_list.hpp"
#include "wire/openai/models_list.hpp"

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace leeway::app {
namespace {

using wire::Dialect;

/// Paths that several vendors serve are answered as the caller's own would.
Dialect dialect_of(const net::RequestHead& head) {
    if (const auto found = find_place(head.path);
        found && found->place->dialect != Dialect::kOpenAiChat) {
        return found->place->dialect;
    }
    if (head.fields.find("anthropic-version")) return Dialect::kAnthropic;
    return head.fields.find("x-goog-api-key") ? Dialect::kGemini : Dialect::kOpenAiChat;
}

// `allowed`: the methods that there are, where the one that was sent is none of them; else empty.
Task<void> send_error(net::Exchange& exchange, Dialect dialect, Error error,
                      std::string_view allowed = {}) {
    const std::string body = wire::codec_of(dialect).write_error(error);
    const std::array<net::Field, 2> fields{net::Field{"content-type", "application/json"},
                                           net::Field{"allow", allowed}};
    const std::span<const net::Field> used(fields.data(), allowed.empty() ? 1 : 2);
    co_await exchange.respond(http_status(error.code), used, body);
}

Error wrong_method(std::string_view method, std::string_view path, std::string allowed) {
    return Error{ErrorCode::kMethodNotAllowed,
                 "Not allowed to " + std::string(method) + " on " + std::string(path) + ".",
                 "use " + std::move(allowed),
                 {},
                 "method_not_allowed"};
}

std::string models_list(const Snapshot& snapshot, Dialect dialect) {
    const std::vector<std::string> names = snapshot.served_names();
    return dialect == Dialect::kAnthropic ? wire::anthropic::render_models(names)
                                          : wire::gemini::render_models(names);
}

/// "the paths are …": those that name no model, and one that does.
std::string paths_hint() {
    std::string out = "the paths are ";
    for (const Place& place : places()) {
        if (place.pattern.find('{') == std::string_view::npos)
            out.append(place.pattern).append(", ");
    }
    return out + "/v1beta/models/MODEL:generateContent; 'leeway openapi' lists all";
}

// `asked`: the name of one model; empty: all.
Task<void> list_models(WorkerState& worker, net::Exchange& exchange, std::string_view asked) {
    const Dialect dialect = dialect_of(exchange.head());
    ClientRequest request(worker, exchange, pipeline::Endpoint::kChatCompletions, dialect);
    const bool let_in = co_await request.authenticate();
    if (!let_in) co_return;
    std::vector<net::Field> fields{net::Field{"content-type", "application/json"}};
    request.add_limit_fields(fields);
    if (asked.empty()) {
        const std::string body = dialect == Dialect::kOpenAiChat
                                     ? std::string()
                                     : models_list(*worker.snapshot, dialect);
        co_await exchange.respond(
            200, fields, body.empty() ? std::string_view(worker.snapshot->models_json()) : body);
        co_return;
    }
    const std::string name(asked);
    if (!worker.snapshot->has_name(name)) {
        Error error{ErrorCode::kNotFound, "The model '" + name + "' does not exist.",
                    "GET /v1/models lists what there is", "model", "model_not_found"};
        co_await send_error(exchange, dialect, std::move(error));
        co_return;
    }
    const pipeline::Model* model = worker.snapshot->model(name);
    wire::openai::ModelEntry entry;
    entry.id = name;
    entry.owned_by = model == nullptr ? "leeway" : model->provider_name;
    std::string body;
    if (dialect == Dialect::kAnthropic) {
        body = wire::anthropic::render_model(name);
    } else if (dialect == Dialect::kGemini) {
        body = wire::gemini::render_model(name);
    } else {
        body = wire::openai::render_model(entry);
    }
    co_await exchange.respond(200, fields, body);
}

}  // namespace

Task<void> Gateway::handle(net::Exchange& exchange) {
    using enum Place::Kind;
    const std::string_view path = exchange.head().path;
    const std::string_view method = exchange.head().method;
    const auto found = find_place(path);
    if (!found) {
        Error error{ErrorCode::kNotFound,
                    "Unknown request URL: " + std::string(method) + " " + std::string(path) + ".",
                    paths_hint(),
                    {},
                    "unknown_url"};
        co_await send_error(exchange, dialect_of(exchange.head()), std::move(error));
        co_return;
    }
    const Place& place = *found->place;
    const std::string_view methods = methods_of(place);
    if (!allows(methods, method)) {
        const Dialect dialect = methods == kReading ? dialect_of(exchange.head()) : place.dialect;
        std::string allowed(methods);
        if (const std::size_t head = allowed.find(", HEAD"); head != std::string::npos)
            allowed.erase(head, 6);
        Error error = wrong_method(method, path, std::move(allowed));
        co_await send_error(exchange, dialect, std::move(error), methods);
        co_return;
    }
    if (place.kind == kFeedback) {
        FeedbackRequest request(worker_, exchange);
        co_await request.run();
        co_return;
    }
    if (place.kind == kResponse || place.kind == kResponseInput || place.kind == kResponseCancel) {
        ResponseRequest request(worker_, exchange, place, found->model);
        co_await request.run();
        co_return;
    }
    if (place.kind >= kFiles) {
        BatchRequest request(worker_, exchange, place, found->model);
        co_await request.run();
        co_return;
    }
    if (place.kind == kModels || place.kind == kModel) {
        co_await list_models(worker_, exchange, found->model);
        co_return;
    }
    auto endpoint = pipeline::Endpoint::kChatCompletions;
    if (place.kind == kEmbeddings) endpoint = pipeline::Endpoint::kEmbeddings;
    if (place.kind == kCompletions) endpoint = pipeline::Endpoint::kCompletions;
    if (place.kind == kRerank) endpoint = pipeline::Endpoint::kRerank;
    std::optional<RecordedExchange> recorder;
    if (worker_.snapshot->replays() != nullptr && exchange.head().fields.find("idempotency-key"))
        recorder.emplace(exchange);
    net::Exchange& used = recorder ? static_cast<net::Exchange&>(*recorder) : exchange;
    ClientRequest request(worker_, used, endpoint, place.dialect);
    if (recorder) request.keep_answer(*recorder);
    if (!found->model.empty()) request.asked_in_address(found->model, place.stream);
    if (place.kind == kCountTokens) {
        co_await request.count_tokens();
    } else {
        co_await request.run();
    }
}

std::string Gateway::render_error(const Error& error, std::string_view path) {
    const auto found = find_place(path);
    return wire::codec_of(found ? found->place->dialect : Dialect::kOpenAiChat).write_error(error);
}

}  // namespace leeway::app
