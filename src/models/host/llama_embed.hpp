#pragma once

#include "models/host/engine_counters.hpp"
#include "models/host/llama_backend.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace leeway::models {

/// One request for vectors on its way.
struct EmbedRun {
    JobId id = 0;
    std::vector<std::vector<llama_token>> texts;
    std::size_t next = 0;   // the first text that is not in a batch yet
    std::size_t ready = 0;  // vectors that are there
    Embeddings result;
    TimePoint deadline;
    std::function<void(Result<Embeddings>)> done;
};

/// Computes vectors in batches across the requests that wait, first come first served. It never waits
/// for a batch to fill. Engine thread only.
class EmbedRunner {
public:
    /// Errors: the model gives no vectors (a reranker).
    [[nodiscard]] static Result<std::unique_ptr<EmbedRunner>> make(llama_model& model,
                                                                   const EngineOptions& options,
                                                                   EngineCounters& counters);

    void enqueue(std::unique_ptr<EmbedRun> run) { queue_.push_back(std::move(run)); }
    void cancel(JobId id) noexcept;
    void cancel_all() noexcept;
    [[nodiscard]] bool has_work() const noexcept { return !queue_.empty(); }
    /// One batch.
    void step();

    /// The most tokens of one text, with the model's marks.
    [[nodiscard]] std::size_t text_tokens() const noexcept { return text_tokens_; }
    [[nodiscard]] std::uint32_t dimension() const noexcept { return dimension_; }

private:
    struct Row {
        EmbedRun* run;
        std::size_t text;
    };

    EmbedRunner(ContextWithThreads context, llama_model& model, std::size_t text_tokens,
                EngineCounters& counters);

    void expire();
    void pack();
    void finish(EmbedRun& run, Result<Embeddings> result);

    ContextWithThreads context_;
    llama_context& llama_;
    std::size_t text_tokens_;
    std::uint32_t dimension_;
    std::deque<std::unique_ptr<EmbedRun>> queue_;
    std::vector<Row> rows_;  // by sequence number
    Batch batch_;
    EngineCounters& counters_;
};

}  // namespace leeway::models
