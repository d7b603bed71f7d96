#pragma once

#include "app/gateway.hpp"
#include "app/model_hosts.hpp"
#include "guard/budget/book.hpp"
#include "models/embed/embed_service.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"
#include "pipeline/model.hpp"
#include "providers/breaker.hpp"
#include "providers/provider.hpp"

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {

/// What lives on the loop of the thread "embed": its connections and counters, and the calls under way. Loop-local.
struct EmbeddingLoop {
    net::EventLoop loop;
    WorkerState state{loop};
    std::vector<net::Deadline*> calls;
    bool stopping = false;
};

/// What a source of embeddings is built of.
struct EmbeddingUpstreamParts {
    providers::Provider provider;
    pipeline::Model model;  ///< its names and prices are looked at, and why it cannot be used
    std::string identity;  ///< of the model; stands in for a fingerprint where nobody tells one
    std::shared_ptr<ModelHost> host;  ///< null: a provider runs it
    std::shared_ptr<providers::Breaker> breaker;  ///< null: none
    budget::Book* budgets = nullptr;  ///< null: none is configured; outlives it
};

/// Vectors by one POST /v1/embeddings for each batch, to the model host or to a provider of OpenAI's dialect. Each call
/// of a provider is a row of its own in the ledger, with the tag `embedding`, that the budgets for everyone and for the
/// tag pay; so is one of an embedded model, unless it is free. Its cost is a negative saving: nobody would have it
/// without us. On the loop of `at`, which outlives it.
class EmbeddingUpstream final : public models::EmbedSource {
public:
    EmbeddingUpstream(EmbeddingLoop& at, EmbeddingUpstreamParts parts)
        : at_(at), parts_(std::move(parts)) {}

    Task<Result<Vectors>> compute(std::span<const std::string> texts) override;
    void stop() noexcept override;

private:
    struct Call;

    Result<void> reserve(Call& call, std::span<const std::string> texts);
    Task<Result<void>> ask(Call& call, std::size_t wanted);
    Result<void> read(Call& call, std::string_view body, std::size_t wanted) const;
    void settle(Call& call);
    [[nodiscard]] bool embedded() const noexcept { return parts_.host != nullptr; }

    EmbeddingLoop& at_;
    const EmbeddingUpstreamParts parts_;
};

}  // namespace leeway::app
