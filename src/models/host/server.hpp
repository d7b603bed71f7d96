#pragma once

#include "models/host/chat_request.hpp"
#include "models/host/embed_request.hpp"
#include "models/host/model_store.hpp"
#include "net/http_server.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// The HTTP side of `leeway model-host`: OpenAI's dialect over the models of a store.
///
///     POST /v1/chat/completions   buffered or streamed
///     POST /v1/embeddings
///     GET  /v1/models, /v1/models/{id}
///     GET  /health                what is loaded, and its counters
///
/// A model is loaded by the first request that names it; others that come meanwhile wait for the same
/// load. A client that hangs up stops its jobs at once. Loop-local; store and loop outlive it.
class HostServer final : public net::Handler {
public:
    HostServer(net::EventLoop& loop, ModelStore& store);

    Task<void> handle(net::Exchange& exchange) override;
    std::string render_error(const Error& error, std::string_view path) override;

private:
    struct ChatAnswer;

    Task<void> chat(net::Exchange& exchange);
    Task<void> embeddings(net::Exchange& exchange);
    Task<void> stream(net::Exchange& exchange, ChatAnswer& answer);
    Task<void> buffer(net::Exchange& exchange, ChatAnswer& answer);
    Task<Result<std::shared_ptr<Engine>>> engine(const std::string& name, net::Deadline& deadline);
    static Result<void> submit(ChatAnswer& answer, ChatRequest& request);
    [[nodiscard]] bool listed(std::string_view name) const;
    [[nodiscard]] std::string models_json(std::string_view id) const;
    [[nodiscard]] std::string health_json() const;

    net::EventLoop& loop_;
    ModelStore& store_;
    std::vector<std::string> names_;  // that were there at the start
    std::int64_t created_;
};

}  // namespace leeway::models
