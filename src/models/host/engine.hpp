#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::models {

/// Names a submitted job for `Engine::cancel`. Unique per engine, never 0.
using JobId = std::uint64_t;

/// One turn of a conversation. `role` is lower-case ASCII (system, user, assistant, tool ...).
struct ChatMessage {
    std::string role;
    std::string content;  ///< UTF-8
};

/// How tokens are chosen. Order: logit bias, penalties, temperature, top-k, top-p, min-p, draw.
struct Sampling {
    float temperature = 1.0F;        ///< 0 = always the likeliest token
    float top_p = 1.0F;              ///< in (0, 1]
    int top_k = 0;                   ///< 0 = all
    float min_p = 0.0F;              ///< in [0, 1): relative to the likeliest token
    float frequency_penalty = 0.0F;  ///< over the tokens generated so far, as OpenAI defines it
    float presence_penalty = 0.0F;   ///< likewise
    /// Same seed, prompt and options: same draws. The logits behind them differ in the last digits
    /// with what else runs and what the prefix cache holds, so the text is nearly, not always, the same.
    std::optional<std::uint32_t> seed = std::nullopt;
    std::vector<std::string> stop = {};  ///< never part of the answer
    int max_tokens = 0;  ///< 0 = to the context's end
    int top_logprobs = -1;  ///< -1 = no log-probabilities
    std::vector<std::pair<std::int32_t, float>> logit_bias = {};  ///< token id, added to its logit
};

/// A generated token. Its bytes may be a part of a UTF-8 character.
struct TokenInfo {
    std::string bytes;
    float logprob = 0;  ///< of the model's own distribution (raw logits)
    std::vector<std::pair<std::string, float>> top;  ///< the `top_logprobs` likeliest, best first
};

enum class FinishReason : std::uint8_t { kStop, kLength, kCanceled, kError };

/// Tokens of one request. `cached_tokens` is a part of `prompt_tokens`; `completion_tokens` counts
/// each token that was sampled, the end-of-answer token too.
struct Usage {
    std::uint32_t prompt_tokens = 0;
    std::uint32_t cached_tokens = 0;
    std::uint32_t completion_tokens = 0;
};

/// The next piece of an answer; the views are valid during the call only.
struct ChatDelta {
    std::string_view text;  ///< whole UTF-8 characters; may be empty
    std::span<const TokenInfo>
        tokens;  ///< those that end in this piece; only with `top_logprobs` >= 0
};

/// The end of an answer. `error` is set only with `kError`.
struct ChatEnd {
    FinishReason reason = FinishReason::kStop;
    Usage usage;
    std::optional<Error> error;
};

/// Receives an answer. Called on the engine's thread: be quick, do not call the engine back, and do
/// not block. `on_done` comes exactly once per accepted job, last, also when the engine is destroyed.
class ChatSink {
public:
    virtual ~ChatSink() = default;
    virtual void on_delta(const ChatDelta& delta) noexcept = 0;
    virtual void on_done(const ChatEnd& end) noexcept = 0;
};

/// A chat request.
struct ChatJob {
    std::vector<ChatMessage> messages;
    Sampling sampling;
    TimePoint deadline = TimePoint::max();  ///< dropped with an error if it has not started by then
    std::shared_ptr<ChatSink> sink;
};

/// Vectors of unit length, one row per text in the order of the texts.
struct Embeddings {
    std::uint32_t dimension = 0;
    std::vector<float> values;  ///< texts × dimension
    std::vector<std::uint32_t> tokens;  ///< per text, with the model's own marks ([CLS], [SEP])
};

/// A request for vectors.
struct EmbedJob {
    std::vector<std::string> texts;  ///< not empty; each not empty
    /// 0: a text beyond the model's limit is an error. Else: each text is cut to so many tokens (at
    /// most the model's limit), with the closing mark kept.
    std::uint32_t truncate_tokens = 0;
    TimePoint deadline = TimePoint::max();
    /// Called exactly once on the engine's thread, under the same rules as ChatSink.
    std::function<void(Result<Embeddings>)> done;
};

enum class EngineKind : std::uint8_t { kAuto, kChat, kEmbedding };

/// How to load and run a model.
struct EngineOptions {
    std::filesystem::path file = {};  ///< a checked GGUF file
    std::string name = {};  ///< for messages; defaults to the file's name
    std::string file_sha256 = {};  ///< of the file, in hexadecimal, where its owner knows it
    EngineKind kind = EngineKind::kAuto;  ///< kAuto: what the file says
    std::uint32_t threads = 1;  ///< more than one: a pool that sleeps instead of spinning
    std::uint32_t sequences = 4;  ///< answers generated together
    /// Tokens of the key-value cache, shared by all sequences and the limit of one request; 0 = what
    /// the model was trained for. Cut to that when larger.
    std::uint32_t context_tokens = 4096;
    std::uint32_t max_waiting = 64;  ///< chat jobs that wait; more are refused
    std::uint32_t max_waiting_texts = 4096;  ///< texts that wait for their vector; more are refused
    std::string chat_template = {};  ///< in place of the file's; a llama.cpp name or Jinja text
    /// Load progress in [0, 1], on the loading thread; false ends loading with an error.
    std::function<bool(float)> progress = {};
};

/// What is loaded.
struct EngineInfo {
    std::string name;
    std::string description;  ///< e.g. "llama 135M Q4_1"
    std::string architecture;
    std::string file_sha256;  ///< as it was told; empty: nobody asked
    EngineKind kind = EngineKind::kChat;
    std::uint32_t context_tokens = 0;  ///< the most one request may hold
    std::uint32_t trained_context = 0;
    std::uint32_t dimension = 0;  ///< width of the model = length of its vectors
    std::uint32_t vocabulary = 0;
    std::uint64_t parameters = 0;
    std::uint64_t weight_bytes = 0;
    std::uint64_t file_bytes = 0;
    std::uint32_t sequences = 0;
    bool has_chat_template = false;
};

/// Counters since the start, and what is there now.
struct EngineStats {
    std::uint64_t prompt_tokens = 0;  ///< evaluated, so without cached ones
    std::uint64_t cached_tokens = 0;
    std::uint64_t completion_tokens = 0;
    std::uint64_t embedded_texts = 0;
    std::uint64_t jobs_done = 0;
    std::uint64_t preempted =
        0;  ///< answers that lost their cache to an older one and were recomputed
    std::uint32_t waiting = 0;
    std::uint32_t running = 0;
};

/// One loaded model, one thread (named "model"), one bounded queue. Chat requests are generated
/// together, first come first served: each step evaluates one token of every running answer and a
/// piece of the waiting prompts. Vectors are computed in batches across the jobs that wait.
/// Thread-safe.
class Engine {
public:
    /// Loads the model; takes as long as that takes. Errors: not loadable, CPU too old, no memory,
    /// or this build has no llama.cpp.
    [[nodiscard]] static Result<std::unique_ptr<Engine>> load(EngineOptions options);

    /// Ends all jobs with `kCanceled`, then joins the thread.
    virtual ~Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Checks and tokenises here, on the caller's thread. Errors (nothing is called back then):
    /// kInvalidRequest (bad field, prompt beyond the context), kUnavailable with reason "busy".
    [[nodiscard]] virtual Result<JobId> submit_chat(ChatJob job) = 0;
    /// Likewise for vectors.
    [[nodiscard]] virtual Result<JobId> submit_embeddings(EmbedJob job) = 0;
    /// Ends a job within one step; a finished or unknown id is ignored. Its end is still called back.
    virtual void cancel(JobId id) noexcept = 0;

    /// Tokens of plain text, without the model's own marks.
    [[nodiscard]] virtual std::uint32_t count_tokens(std::string_view text) const = 0;
    [[nodiscard]] virtual const EngineInfo& info() const noexcept = 0;
    [[nodiscard]] virtual EngineStats stats() const noexcept = 0;

protected:
    Engine() = default;
};

}  // namespace leeway::models
