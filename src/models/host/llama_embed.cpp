#include "models/host/llama_embed.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace leeway::models {
namespace {

// Texts of one batch attend over each other's (masked) tokens, so the work per text grows with the
// batch. Measured on MiniLM, texts of 60 tokens: 25 ms each in batches of 240 tokens, 37 in 960, 46 in
// 1920. This size fills the matrix kernels and no more.
constexpr std::size_t kBatchTokens = 256;
constexpr std::uint32_t kBatchTexts = 32;

Error error_of(ErrorCode code, std::string message, std::string reason) {
    Error error;
    error.code = code;
    error.message = std::move(message);
    error.reason = std::move(reason);
    return error;
}

}  // namespace

Result<std::unique_ptr<EmbedRunner>> EmbedRunner::make(llama_model& model,
                                                       const EngineOptions& options,
                                                       EngineCounters& counters) {
    const auto trained = static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(&model)));
    const std::uint32_t text_tokens =
        options.context_tokens == 0 ? trained : std::min(options.context_tokens, trained);
    llama_context_params params = llama_context_default_params();
    params.embeddings = true;
    params.n_ctx = std::max<std::uint32_t>(text_tokens, kBatchTokens);
    params.n_batch = params.n_ctx;
    params.n_ubatch = params.n_ctx;  // an encoder needs a whole text in one physical batch
    params.n_seq_max = kBatchTexts;
    params.kv_unified = true;
    auto context = make_context(model, params, std::max(1U, options.threads));
    if (!context) return fail(std::move(context.error()));
    const auto pooling = llama_pooling_type(context->context.get());
    if (pooling == LLAMA_POOLING_TYPE_NONE) {
        params.pooling_type = LLAMA_POOLING_TYPE_MEAN;
        context = make_context(model, params, std::max(1U, options.threads));
        if (!context) return fail(std::move(context.error()));
    }
    if (pooling == LLAMA_POOLING_TYPE_RANK) {
        return fail(ErrorCode::kConfig,
                    "the model is a reranker: it scores pairs and gives no vectors");
    }
    return std::unique_ptr<EmbedRunner>(
        new EmbedRunner(std::move(*context), model, text_tokens, counters));
}

EmbedRunner::EmbedRunner(ContextWithThreads context, llama_model& model, std::size_t text_tokens,
                         EngineCounters& counters)
    : context_(std::move(context)),
      llama_(*context_.context),
      text_tokens_(text_tokens),
      dimension_(static_cast<std::uint32_t>(llama_model_n_embd_out(&model))),
      batch_(llama_n_batch(&llama_)),
      counters_(counters) {
    rows_.reserve(kBatchTexts);
}

void EmbedRunner::cancel(JobId id) noexcept {
    const auto found =
        std::find_if(queue_.begin(), queue_.end(), [&](const auto& run) { return run->id == id; });
    if (found == queue_.end()) return;
    finish(**found,
           fail(error_of(ErrorCode::kClientGone, "the request was cancelled", "canceled")));
    queue_.erase(found);
}

void EmbedRunner::cancel_all() noexcept {
    for (const auto& run : queue_) {
        finish(*run,
               fail(error_of(ErrorCode::kUnavailable, "the model is being unloaded", "canceled")));
    }
    queue_.clear();
}

void EmbedRunner::step() {
    expire();
    pack();
    if (rows_.empty()) return;
    std::int32_t code = -1;
    try {
        if (llama_get_memory(&llama_) != nullptr)
            llama_memory_clear(llama_get_memory(&llama_), false);
        code = llama_decode(&llama_, batch_.view());  // an encoder's context encodes
    } catch (const std::exception& error) {
        spdlog::error("llama.cpp: {}", error.what());
    }
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const float* vector =
            code == 0 ? llama_get_embeddings_seq(&llama_, static_cast<llama_seq_id>(i)) : nullptr;
        EmbedRun& run = *rows_[i].run;
        if (vector == nullptr) {
            run.ready = run.texts.size() + 1;  // marks it as failed
            continue;
        }
        double square = 0;
        for (std::uint32_t d = 0; d < dimension_; ++d) {
            square += static_cast<double>(vector[d]) * static_cast<double>(vector[d]);
        }
        const float scale = square > 0 ? static_cast<float>(1.0 / std::sqrt(square)) : 0.0F;
        float* out = run.result.values.data() + rows_[i].text * dimension_;
        for (std::uint32_t d = 0; d < dimension_; ++d) out[d] = vector[d] * scale;
        if (run.ready <= run.texts.size()) ++run.ready;
        ++counters_.embedded_texts;
        counters_.prompt_tokens += run.texts[rows_[i].text].size();
    }
    std::erase_if(queue_, [&](const auto& run) {
        if (run->ready < run->texts.size()) return false;
        if (run->ready == run->texts.size()) {
            finish(*run, std::move(run->result));
        } else {
            finish(*run, fail(error_of(ErrorCode::kInternal,
                                       "the local model failed to compute a vector", "")));
        }
        return true;
    });
}

void EmbedRunner::expire() {
    const TimePoint now = monotonic_now();
    std::erase_if(queue_, [&](const auto& run) {
        if (run->next > 0 || run->deadline > now) return false;
        finish(*run, fail(error_of(ErrorCode::kUnavailable,
                                   "the model was busy until the request's deadline", "busy")));
        return true;
    });
}

void EmbedRunner::pack() {
    batch_.clear();
    rows_.clear();
    for (const auto& run : queue_) {
        for (; run->next < run->texts.size(); ++run->next) {
            const std::vector<llama_token>& text = run->texts[run->next];
            const bool full = rows_.size() == kBatchTexts || text.size() > batch_.room() ||
                              batch_.size() + text.size() > std::max(kBatchTokens, text.size());
            if (full && !rows_.empty()) return;
            const auto sequence = static_cast<llama_seq_id>(rows_.size());
            for (std::size_t at = 0; at < text.size(); ++at) {
                batch_.add(text[at], static_cast<llama_pos>(at), sequence, true);
            }
            rows_.push_back({run.get(), run->next});
        }
    }
}

void EmbedRunner::finish(EmbedRun& run, Result<Embeddings> result) {
    counters_.waiting -= static_cast<std::uint32_t>(run.texts.size());
    ++counters_.jobs_done;
    run.done(std::move(result));
}

}  // namespace leeway::models
