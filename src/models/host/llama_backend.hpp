#pragma once

#include "base/result.hpp"
#include "models/host/engine.hpp"

#include <ggml-cpu.h>
#include <llama.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

struct LlamaDeleter {
    void operator()(llama_model* model) const noexcept { llama_model_free(model); }
    void operator()(llama_context* context) const noexcept { llama_free(context); }
    void operator()(ggml_threadpool* pool) const noexcept { ggml_threadpool_free(pool); }
};
using ModelPtr = std::unique_ptr<llama_model, LlamaDeleter>;
using ContextPtr = std::unique_ptr<llama_context, LlamaDeleter>;
using ThreadPoolPtr = std::unique_ptr<ggml_threadpool, LlamaDeleter>;

/// Sets llama.cpp up, once per process: its warnings go to our log, a failed assertion of it is logged
/// before it aborts, and it starts no debugger. Errors: this CPU lacks what it was compiled for.
[[nodiscard]] Result<void> start_llama();

/// Loads the weights (memory-mapped).
[[nodiscard]] Result<ModelPtr> load_model(const EngineOptions& options);

/// A context, and the threads that compute it where it has more than one.
struct ContextWithThreads {
    ThreadPoolPtr pool;  // outlives the context
    ContextPtr context;
};
/// Makes a context with `threads` threads; a pool of more than one sleeps when idle.
[[nodiscard]] Result<ContextWithThreads> make_context(llama_model& model,
                                                      llama_context_params params,
                                                      std::uint32_t threads);

/// Token ids of `text`. `special`: marks like <|im_end|> in the text are read as such. `add_marks`: add
/// the model's own start and end marks.
[[nodiscard]] Result<std::vector<llama_token>> tokenize(const llama_vocab& vocab,
                                                        std::string_view text, bool add_marks,
                                                        bool special);

/// The bytes of a token; empty for control tokens.
[[nodiscard]] std::string token_bytes(const llama_vocab& vocab, llama_token token);

/// The input of one step. Arrays are kept between steps.
class Batch {
public:
    explicit Batch(std::size_t capacity);
    void clear() noexcept { size_ = 0; }
    /// There must be room. Returns the token's row.
    std::int32_t add(llama_token token, llama_pos position, llama_seq_id sequence,
                     bool output) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t room() const noexcept { return tokens_.size() - size_; }
    /// Valid until the next call.
    [[nodiscard]] llama_batch view() noexcept;

private:
    std::size_t size_ = 0;
    std::vector<llama_token> tokens_;
    std::vector<llama_pos> positions_;
    std::vector<std::int32_t> sequence_counts_;
    std::vector<llama_seq_id> sequences_;
    std::vector<llama_seq_id*> sequence_pointers_;
    std::vector<std::int8_t> outputs_;
};

}  // namespace leeway::models
