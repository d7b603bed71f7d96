#include "app/gateway.hpp"

#include "app/client_request.hpp"
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

constexpr std::string_view kModelsPath = "/v1/models";

/// What is served at a path.
struct Place {
    enum class Kind : std::uint8_t { kChat, kEmbeddings, kCountTokens, kModels };
    Kind kind = Kind::kChat;
    Dialect dialect = Dialect::kOpenAiChat;
    std::string_view model;  ///< Gemini names it in the path
    bool stream = false;
};

/// "MODEL:generateContent" behind Google's prefix. Its SDKs ask for v1beta or v1.
std::optional<Place> google_place(std::string_view rest) {
    const std::size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    const std::string_view method = rest.substr(colon + 1);
    Place place{Place::Kind::kChat, Dialect::kGemini, rest.substr(0, colon), false};
    if (method == "streamGenerateContent") {
        place.stream = true;
    } else if (method == "countTokens") {
        place.kind = Place::Kind::kCountTokens;
    } else if (method != "generateContent") {
        return std::nullopt;
    }
    return place;
}

std::optional<Place> find_place(std::string_view path) {
    if (path == "/v1/chat/completions") return Place{};
    if (path == "/v1/embeddings")
        return Place{Place::Kind::kEmbeddings, Dialect::kOpenAiChat, {}, false};
    if (path == "/v1/responses")
        return Place{Place::Kind::kChat, Dialect::kOpenAiResponses, {}, false};
    if (path == "/v1/messages") return Place{Place::Kind::kChat, Dialect::kAnthropic, {}, false};
    if (path == "/v1/messages/count_tokens")
        return Place{Place::Kind::kCountTokens, Dialect::kAnthropic, {}, false};
    for (const std::string_view prefix : {"/v1beta/models", "/v1/models"}) {
        if (!path.starts_with(prefix)) continue;
        const std::string_view rest = path.substr(prefix.size());
        if (!rest.empty() && !rest.starts_with('/')) continue;
        if (const auto place = google_place(rest.empty() ? rest : rest.substr(1))) return place;
        const bool beta = prefix != kModelsPath;
        return Place{
            Place::Kind::kModels, beta ? Dialect::kGemini : Dialect::kOpenAiChat, {}, false};
    }
    return std::nullopt;
}

/// Paths that several vendors serve are answered as the caller's own would.
Dialect dialect_of(const net::RequestHead& head) {
    if (const auto place = find_place(head.path); place && place->dialect != Dialect::kOpenAiChat)
        return place->dialect;
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

Task<void> list_models(WorkerState& worker, net::Exchange& exchange) {
    const Dialect dialect = dialect_of(exchange.head());
    ClientRequest request(worker, exchange, pipeline::Endpoint::kChatCompletions, dialect);
    const bool let_in = co_await request.authenticate();
    if (!let_in) co_return;
    std::vector<net::Field> fields{net::Field{"content-type", "application/json"}};
    request.add_limit_fields(fields);
    const std::string_view path = exchange.head().path;
    const std::size_t at = path.find("/models") + 7;
    if (path.size() <= at + 1) {
        const std::string body = dialect == Dialect::kOpenAiChat
                                     ? std::string()
                                     : models_list(*worker.snapshot, dialect);
        co_await exchange.respond(
            200, fields, body.empty() ? std::string_view(worker.snapshot->models_json()) : body);
        co_return;
    }
    const std::string name(path.substr(at + 1));
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
    const std::string_view path = exchange.head().path;
    const std::string_view method = exchange.head().method;
    const auto place = find_place(path);
    if (!place) {
        Error error{
            ErrorCode::kNotFound,
            "Unknown request URL: " + std::string(method) + " " + std::string(path) + ".",
            "the paths are /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/messages, "
            "/v1/messages/count_tokens, /v1beta/models/MODEL:generateContent and /v1/models",
            {},
            "unknown_url"};
        co_await send_error(exchange, dialect_of(exchange.head()), std::move(error));
        co_return;
    }
    if (place->kind == Place::Kind::kModels) {
        if (method == "GET" || method == "HEAD") {
            co_await list_models(worker_, exchange);
            co_return;
        }
        Error error = wrong_method(method, path, "GET");
        co_await send_error(exchange, dialect_of(exchange.head()), std::move(error), "GET, HEAD");
        co_return;
    }
    if (method != "POST") {
        Error error = wrong_method(method, path, "POST");
        co_await send_error(exchange, place->dialect, std::move(error), "POST");
        co_return;
    }
    const auto endpoint = place->kind == Place::Kind::kEmbeddings
                              ? pipeline::Endpoint::kEmbeddings
                              : pipeline::Endpoint::kChatCompletions;
    ClientRequest request(worker_, exchange, endpoint, place->dialect);
    if (!place->model.empty()) request.asked_in_address(place->model, place->stream);
    if (place->kind == Place::Kind::kCountTokens) {
        co_await request.count_tokens();
    } else {
        co_await request.run();
    }
}

std::string Gateway::render_error(const Error& error, std::string_view path) {
    const auto place = find_place(path);
    return wire::codec_of(place ? place->dialect : Dialect::kOpenAiChat).write_error(error);
}

}  // namespace leeway::app
