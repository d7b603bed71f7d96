#include "base/random.hpp"
#include "models/host/engine.hpp"
#include "models/host/llama_backend.hpp"
#include "models/host/llama_chat.hpp"
#include "models/host/llama_embed.hpp"
#include "models/host/llama_prompt.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace leeway::models {
namespace {

constexpr std::size_t kMaxStops = 16;
constexpr int kMaxTopLogprobs = 20;  // OpenAI's limit

tl::unexpected<Error> invalid(const char* param, std::string message) {
    Error error;
    error.code = ErrorCode::kInvalidRequest;
    error.message = std::move(message);
    error.param = param;
    return fail(std::move(error));
}

tl::unexpected<Error> busy(std::string what) {
    Error error;
    error.code = ErrorCode::kUnavailable;
    error.message = std::move(what);
    error.hint = "try again in a moment";
    error.reason = "busy";
    return fail(std::move(error));
}

bool within(float value, float low, float high) noexcept { return value >= low && value <= high; }

Result<void> check_sampling(const Sampling& sampling, std::uint32_t vocabulary) {
    if (!within(sampling.temperature, 0, 100))
        return invalid("temperature", "temperature must be 0 or more");
    if (!within(sampling.top_p, 0, 1)) return invalid("top_p", "top_p must lie between 0 and 1");
    if (!within(sampling.min_p, 0, 1)) return invalid("min_p", "min_p must lie between 0 and 1");
    if (!within(sampling.frequency_penalty, -2, 2)) {
        return invalid("frequency_penalty", "frequency_penalty must lie between -2 and 2");
    }
    if (!within(sampling.presence_penalty, -2, 2)) {
        return invalid("presence_penalty", "presence_penalty must lie between -2 and 2");
    }
    if (sampling.max_tokens < 0) return invalid("max_tokens", "max_tokens must not be negative");
    if (sampling.top_logprobs > kMaxTopLogprobs) {
        return invalid("top_logprobs",
                       fmt::format("top_logprobs must be at most {}", kMaxTopLogprobs));
    }
    if (sampling.stop.size() > kMaxStops) {
        return invalid("stop", fmt::format("stop must have at most {} strings", kMaxStops));
    }
    for (const auto& [token, bias] : sampling.logit_bias) {
        if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary ||
            !within(bias, -100, 100)) {
            return invalid("logit_bias",
                           fmt::format("logit_bias has token {} (of {}) with bias {} (-100 to "
                                       "100)",
                                       token, vocabulary, bias));
        }
    }
    return {};
}

std::string meta(const llama_model& model, const std::string& key) {
    std::string value(256, '\0');
    const std::int32_t length =
        llama_model_meta_val_str(&model, key.c_str(), value.data(), value.size());
    value.resize(length < 0 ? 0 : std::min(static_cast<std::size_t>(length), value.size() - 1));
    return value;
}

EngineInfo describe(const llama_model& model, const EngineOptions& options) {
    EngineInfo info;
    info.name = options.name.empty() ? options.file.stem().string() : options.name;
    std::string text(256, '\0');
    llama_model_desc(&model, text.data(), text.size());
    info.description = text.c_str();
    info.architecture = meta(model, "general.architecture");
    info.kind = options.kind;
    if (info.kind == EngineKind::kAuto) {
        const bool vectors = !meta(model, info.architecture + ".pooling_type").empty() ||
                             meta(model, info.architecture + ".attention.causal") == "false";
        info.kind = vectors ? EngineKind::kEmbedding : EngineKind::kChat;
    }
    info.trained_context = static_cast<std::uint32_t>(std::max(0, llama_model_n_ctx_train(&model)));
    info.dimension = static_cast<std::uint32_t>(llama_model_n_embd_out(&model));
    info.vocabulary =
        static_cast<std::uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(&model)));
    info.parameters = llama_model_n_params(&model);
    info.weight_bytes = llama_model_size(&model);
    std::error_code ignored;
    info.file_bytes = std::filesystem::file_size(options.file, ignored);
    info.sequences = options.sequences;
    info.file_sha256 = options.file_sha256;
    return info;
}

class LlamaEngine final : public Engine {
public:
    LlamaEngine(ModelPtr model, EngineOptions options)
        : options_(std::move(options)),
          model_(std::move(model)),
          vocab_(*llama_model_get_vocab(model_.get())),
          prompts_(*model_, options_.chat_template),
          info_(describe(*model_, options_)) {}

    ~LlamaEngine() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        if (thread_.joinable()) thread_.join();
    }

    Result<void> start() {
        if (info_.kind == EngineKind::kEmbedding) {
            auto runner = EmbedRunner::make(*model_, options_, counters_);
            if (!runner) return fail(std::move(runner.error()));
            embed_ = std::move(*runner);
            info_.context_tokens = static_cast<std::uint32_t>(embed_->text_tokens());
        } else {
            auto runner = ChatRunner::make(*model_, options_, counters_);
            if (!runner) return fail(std::move(runner.error()));
            chat_ = std::move(*runner);
            info_.context_tokens = static_cast<std::uint32_t>(chat_->context_tokens());
            info_.has_chat_template = prompts_.has_template();
        }
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::system_error& error) {
            return fail(ErrorCode::kUnavailable,
                        fmt::format("cannot start a thread: {}", error.what()));
        }
        return {};
    }

    Result<JobId> submit_chat(ChatJob job) override;
    Result<JobId> submit_embeddings(EmbedJob job) override;

    void cancel(JobId id) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            inbox_.cancels.push_back(id);
        }
        wake_.notify_one();
    }

    std::uint32_t count_tokens(std::string_view text) const override {
        const auto tokens = tokenize(vocab_, text, false, false);
        return tokens ? static_cast<std::uint32_t>(tokens->size()) : 0;
    }
    const EngineInfo& info() const noexcept override { return info_; }
    EngineStats stats() const noexcept override {
        return {.prompt_tokens = counters_.prompt_tokens,
                .cached_tokens = counters_.cached_tokens,
                .completion_tokens = counters_.completion_tokens,
                .embedded_texts = counters_.embedded_texts,
                .jobs_done = counters_.jobs_done,
                .preempted = counters_.preempted,
                .waiting = counters_.waiting,
                .running = counters_.running};
    }

private:
    struct Inbox {
        std::vector<std::unique_ptr<ChatRun>> chats;
        std::vector<std::unique_ptr<EmbedRun>> embeds;
        std::vector<JobId> cancels;

        [[nodiscard]] bool empty() const noexcept {
            return chats.empty() && embeds.empty() && cancels.empty();
        }
    };

    Result<std::vector<llama_token>> text_tokens(const EmbedJob& job, std::size_t index) const;

    void run() {
        ::pthread_setname_np(::pthread_self(), "model");
        for (;;) {
            Inbox inbox;
            bool stopping = false;
            {
                std::unique_lock lock(mutex_);
                if (!has_work()) wake_.wait(lock, [&] { return stopping_ || !inbox_.empty(); });
                std::swap(inbox, inbox_);
                stopping = stopping_;
            }
            for (auto& run : inbox.chats) chat_->enqueue(std::move(run));
            for (auto& run : inbox.embeds) embed_->enqueue(std::move(run));
            for (const JobId id : inbox.cancels) {
                chat_ ? chat_->cancel(id) : embed_->cancel(id);
            }
            if (stopping) {
                chat_ ? chat_->cancel_all() : embed_->cancel_all();
                return;
            }
            if (has_work()) chat_ ? chat_->step() : embed_->step();
        }
    }
    [[nodiscard]] bool has_work() const noexcept {
        return chat_ ? chat_->has_work() : embed_->has_work();
    }

    const EngineOptions options_;
    ModelPtr model_;
    const llama_vocab& vocab_;
    PromptBuilder prompts_;
    EngineInfo info_;
    EngineCounters counters_;
    std::unique_ptr<ChatRunner> chat_;    // engine thread, once that runs
    std::unique_ptr<EmbedRunner> embed_;  // likewise
    std::mutex mutex_;
    std::condition_variable wake_;
    Inbox inbox_;            // guarded by mutex_
    bool stopping_ = false;  // guarded by mutex_
    JobId last_id_ = 0;      // guarded by mutex_
    std::thread thread_;
};

Result<JobId> LlamaEngine::submit_chat(ChatJob job) {
    if (!chat_) {
        return invalid("model",
                       fmt::format("the model {} gives vectors and does not chat", info_.name));
    }
    if (auto good = check_sampling(job.sampling, info_.vocabulary); !good) {
        return fail(std::move(good.error()));
    }
    auto prompt = prompts_.build(job.messages, info_.context_tokens);
    if (!prompt) return fail(std::move(prompt.error()));
    if (prompt->empty() || prompt->size() >= info_.context_tokens) {
        Error error;
        error.code = ErrorCode::kInvalidRequest;
        error.message = fmt::format("the prompt has {} tokens, the model's context holds {}",
                                    prompt->size(), info_.context_tokens);
        error.hint = "shorten the messages, or raise local.context in the configuration";
        error.param = "messages";
        error.reason = "context_length_exceeded";
        return fail(std::move(error));
    }
    const std::uint32_t seed =
        job.sampling.seed ? *job.sampling.seed : static_cast<std::uint32_t>(fast_random());
    auto run = std::make_unique<ChatRun>(0, std::move(*prompt), std::move(job), seed);
    {
        const std::lock_guard lock(mutex_);
        if (counters_.waiting >= options_.max_waiting) {
            return busy(fmt::format("the model {} is busy: {} requests wait already", info_.name,
                                    options_.max_waiting));
        }
        ++counters_.waiting;
        run->id = ++last_id_;
        inbox_.chats.push_back(std::move(run));
        wake_.notify_one();
        return last_id_;
    }
}

Result<std::vector<llama_token>> LlamaEngine::text_tokens(const EmbedJob& job,
                                                          std::size_t index) const {
    auto tokens = tokenize(vocab_, job.texts[index], true, false);
    if (!tokens) return tokens;
    const std::size_t most = job.truncate_tokens == 0
                                 ? info_.context_tokens
                                 : std::min(job.truncate_tokens, info_.context_tokens);
    if (tokens->empty()) return invalid("input", fmt::format("input[{}] has no tokens", index));
    if (tokens->size() <= most) return tokens;
    if (job.truncate_tokens == 0) {
        return invalid("input", fmt::format("input[{}] has {} tokens, the model reads at most {}",
                                            index, tokens->size(), most));
    }
    const llama_token last = tokens->back();  // the closing mark, e.g. [SEP]
    tokens->resize(most);
    if (llama_vocab_is_control(&vocab_, last)) tokens->back() = last;
    return tokens;
}

Result<JobId> LlamaEngine::submit_embeddings(EmbedJob job) {
    if (!embed_) {
        return invalid("model", fmt::format("the model {} chats and gives no vectors", info_.name));
    }
    if (job.texts.empty()) return invalid("input", "input is empty");
    auto run = std::make_unique<EmbedRun>();
    run->deadline = job.deadline;
    run->result.dimension = embed_->dimension();
    for (std::size_t i = 0; i < job.texts.size(); ++i) {
        auto tokens = text_tokens(job, i);
        if (!tokens) return fail(std::move(tokens.error()));
        run->result.tokens.push_back(static_cast<std::uint32_t>(tokens->size()));
        run->texts.push_back(std::move(*tokens));
    }
    run->result.values.resize(run->texts.size() * run->result.dimension);
    run->done = std::move(job.done);
    const auto count = static_cast<std::uint32_t>(run->texts.size());
    const std::lock_guard lock(mutex_);
    // One large request may pass the bound when nothing else waits; a second one may not.
    if (counters_.waiting > 0 && counters_.waiting + count > options_.max_waiting_texts) {
        return busy(fmt::format("the model {} is busy: {} texts wait already", info_.name,
                                counters_.waiting.load()));
    }
    counters_.waiting += count;
    run->id = ++last_id_;
    inbox_.embeds.push_back(std::move(run));
    wake_.notify_one();
    return last_id_;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::load(EngineOptions options) {
    if (auto started = start_llama(); !started) return fail(std::move(started.error()));
    auto model = load_model(options);
    if (!model) return fail(std::move(model.error()));
    options.progress = nullptr;  // it may refer to what lives only as long as this call
    auto engine = std::make_unique<LlamaEngine>(std::move(*model), std::move(options));
    if (auto started = engine->start(); !started) return fail(std::move(started.error()));
    return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace leeway::models
