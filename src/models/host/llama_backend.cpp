#include "models/host/llama_backend.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

namespace leeway::models {
namespace {

std::string_view without_newline(const char* text) noexcept {
    std::string_view line = text == nullptr ? std::string_view() : std::string_view(text);
    while (!line.empty() && (line.back() == '\n' || line.back() == '.')) line.remove_suffix(1);
    return line;
}

void on_log(ggml_log_level level, const char* text, void* /*user*/) {
    const std::string_view line = without_newline(text);
    if (line.empty()) return;
    if (level == GGML_LOG_LEVEL_ERROR) spdlog::error("llama.cpp: {}", line);
    if (level == GGML_LOG_LEVEL_WARN) spdlog::debug("llama.cpp: {}", line);
}

void on_abort(const char* text) {
    spdlog::critical("llama.cpp stopped the process: {}", without_newline(text));
    spdlog::default_logger_raw()->flush();
}

/// What the library was compiled to use; without it the first step would end in SIGILL.
const char* missing_cpu_feature() noexcept {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2")) return "AVX2";
    if (!__builtin_cpu_supports("fma")) return "FMA";
    if (!__builtin_cpu_supports("bmi2")) return "BMI2";
    if (!__builtin_cpu_supports("f16c")) return "F16C";
#endif
    return nullptr;
}

struct Progress {
    const std::function<bool(float)>* call = nullptr;
    bool refused = false;
};

bool on_progress(float part, void* user) {
    auto* progress = static_cast<Progress*>(user);
    if (*progress->call && !(*progress->call)(part)) progress->refused = true;
    return !progress->refused;
}

}  // namespace

Result<void> start_llama() {
    if (const char* missing = missing_cpu_feature()) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("this CPU has no {}: local models are off", missing),
                    "run leeway model-host on a newer machine and name it as an upstream");
    }
    static std::once_flag once;
    std::call_once(once, [] {
        ::setenv("GGML_NO_BACKTRACE", "1", 0);  // a crash must not start gdb
        llama_log_set(on_log, nullptr);
        ggml_set_abort_callback(on_abort);
        llama_backend_init();
    });
    return {};
}

Result<ModelPtr> load_model(const EngineOptions& options) {
    Progress progress{&options.progress};
    llama_model_params params = llama_model_default_params();
    params.progress_callback = on_progress;
    params.progress_callback_user_data = &progress;
    ModelPtr model;
    try {
        model.reset(llama_model_load_from_file(options.file.c_str(), params));
    } catch (const std::exception& error) {
        spdlog::error("llama.cpp: {}", error.what());
    }
    if (model) return model;
    if (progress.refused) return fail(ErrorCode::kUnavailable, "loading was stopped");
    return fail(ErrorCode::kConfig,
                fmt::format("model file {} cannot be loaded", options.file.string()),
                "the log above says why; try leeway models check");
}

Result<ContextWithThreads> make_context(llama_model& model, llama_context_params params,
                                        std::uint32_t threads) {
    ContextWithThreads made;
    params.n_threads = static_cast<std::int32_t>(threads);
    params.n_threads_batch = params.n_threads;
    params.no_perf = true;
    try {
        made.context.reset(llama_init_from_model(&model, params));
    } catch (const std::exception& error) {
        spdlog::error("llama.cpp: {}", error.what());
    }
    if (!made.context) {
        return fail(ErrorCode::kUnavailable, "no memory for the model's context",
                    "lower local.context or local.parallel in the configuration");
    }
    if (threads > 1) {
        ggml_threadpool_params pool = ggml_threadpool_params_default(params.n_threads);
        pool.poll = 0;  // spinning at barriers collapses as soon as another process wants the core
        made.pool.reset(ggml_threadpool_new(&pool));
        if (!made.pool) return fail(ErrorCode::kUnavailable, "cannot start the model's threads");
        llama_attach_threadpool(made.context.get(), made.pool.get(), made.pool.get());
    }
    return made;
}

Result<std::vector<llama_token>> tokenize(const llama_vocab& vocab, std::string_view text,
                                          bool add_marks, bool special) {
    std::vector<llama_token> tokens;
    if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 2)) {
        return fail(ErrorCode::kInvalidRequest, "the text is too long to be tokenised");
    }
    const auto length = static_cast<std::int32_t>(text.size());
    tokens.resize(text.size() + 2);  // a token has at least one byte
    try {
        std::int32_t count =
            llama_tokenize(&vocab, text.data(), length, tokens.data(),
                           static_cast<std::int32_t>(tokens.size()), add_marks, special);
        if (count < 0 && count != std::numeric_limits<std::int32_t>::min()) {
            tokens.resize(static_cast<std::size_t>(-count));
            count = llama_tokenize(&vocab, text.data(), length, tokens.data(), -count, add_marks,
                                   special);
        }
        if (count >= 0) {
            tokens.resize(static_cast<std::size_t>(count));
            return tokens;
        }
    } catch (const std::exception& error) {
        spdlog::debug("llama.cpp: {}", error.what());
    }
    return fail(ErrorCode::kInvalidRequest, "the text cannot be tokenised for this model");
}

std::string token_bytes(const llama_vocab& vocab, llama_token token) {
    std::string bytes(32, '\0');
    std::int32_t length = llama_token_to_piece(&vocab, token, bytes.data(),
                                               static_cast<std::int32_t>(bytes.size()), 0, false);
    if (length < 0) {
        bytes.resize(static_cast<std::size_t>(-length));
        length = llama_token_to_piece(&vocab, token, bytes.data(), -length, 0, false);
    }
    bytes.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    return bytes;
}

Batch::Batch(std::size_t capacity)
    : tokens_(capacity),
      positions_(capacity),
      sequence_counts_(capacity, 1),
      sequences_(capacity),
      sequence_pointers_(capacity),
      outputs_(capacity) {
    for (std::size_t i = 0; i < capacity; ++i) sequence_pointers_[i] = &sequences_[i];
}

std::int32_t Batch::add(llama_token token, llama_pos position, llama_seq_id sequence,
                        bool output) noexcept {
    tokens_[size_] = token;
    positions_[size_] = position;
    sequences_[size_] = sequence;
    outputs_[size_] = output ? 1 : 0;
    return static_cast<std::int32_t>(size_++);
}

llama_batch Batch::view() noexcept {
    return {static_cast<std::int32_t>(size_),
            tokens_.data(),
            nullptr,
            positions_.data(),
            sequence_counts_.data(),
            sequence_pointers_.data(),
            outputs_.data()};
}

}  // namespace leeway::models
