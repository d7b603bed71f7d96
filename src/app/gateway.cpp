#include "app/gateway.hpp"

#include "app/client_request.hpp"
#include "wire/openai/error.hpp"
#include "wire/openai/models_list.hpp"

#include <array>
#include <span>

namespace leeway::app {
namespace {

constexpr std::string_view kModelsPath = "/v1/models";

// `allowed`: the methods that there are, where the one that was sent is none of them; else empty.
Task<void> send_error(net::Exchange& exchange, Error error, std::string_view allowed = {}) {
    const std::string body = wire::openai::render_error(error);
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

Task<void> list_models(WorkerState& worker, net::Exchange& exchange) {
    ClientRequest request(worker, exchange, pipeline::Endpoint::kChatCompletions);
    const bool let_in = co_await request.authenticate();
    if (!let_in) co_return;
    std::vector<net::Field> fields{net::Field{"content-type", "application/json"}};
    request.add_limit_fields(fields);
    const std::string_view path = exchange.head().path;
    if (path.size() <= kModelsPath.size() + 1) {
        co_await exchange.respond(200, fields, worker.snapshot->models_json());
        co_return;
    }
    const std::string name(path.substr(kModelsPath.size() + 1));
    if (!worker.snapshot->has_name(name)) {
        Error error{ErrorCode::kNotFound, "The model '" + name + "' does not exist.",
                    "GET /v1/models lists what there is", "model", "model_not_found"};
        co_await send_error(exchange, std::move(error));
        co_return;
    }
    const pipeline::Model* model = worker.snapshot->model(name);
    wire::openai::ModelEntry entry;
    entry.id = name;
    entry.owned_by = model == nullptr ? "leeway" : model->provider_name;
    const std::string body = wire::openai::render_model(entry);
    co_await exchange.respond(200, fields, body);
}

}  // namespace

Task<void> Gateway::handle(net::Exchange& exchange) {
    const std::string_view path = exchange.head().path;
    const std::string_view method = exchange.head().method;
    const bool chat = path == "/v1/chat/completions";
    if (chat || path == "/v1/embeddings") {
        if (method != "POST") {
            Error error = wrong_method(method, path, "POST");
            co_await send_error(exchange, std::move(error), "POST");
            co_return;
        }
        const auto endpoint =
            chat ? pipeline::Endpoint::kChatCompletions : pipeline::Endpoint::kEmbeddings;
        ClientRequest request(worker_, exchange, endpoint);
        co_await request.run();
        co_return;
    }
    if (path == kModelsPath || path.starts_with("/v1/models/")) {
        if (method == "GET" || method == "HEAD") {
            co_await list_models(worker_, exchange);
            co_return;
        }
        Error error = wrong_method(method, path, "GET");
        co_await send_error(exchange, std::move(error), "GET, HEAD");
        co_return;
    }
    Error error{ErrorCode::kNotFound,
                "Unknown request URL: " + std::string(method) + " " + std::string(path) + ".",
                "the paths are /v1/chat/completions, /v1/embeddings and /v1/models",
                {},
                "unknown_url"};
    co_await send_error(exchange, std::move(error));
}

std::string Gateway::render_error(const Error& error, std::string_view) {
    return wire::openai::render_error(error);
}

}  // namespace leeway::app
