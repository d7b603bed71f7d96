#pragma once

#include "models/host/engine_counters.hpp"
#include "models/host/llama_backend.hpp"
#include "models/host/sampler.hpp"
#include "models/host/text_stream.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// One chat answer on its way, from the queue to its end.
struct ChatRun {
    /// A token whose text is not shown yet.
    struct Pending {
        TokenInfo info;
        std::size_t start = 0;  // its bytes in the answer
        std::size_t end = 0;
    };

    ChatRun(JobId job_id, std::vector<llama_token> prompt, ChatJob job, std::uint32_t seed);

    JobId id;
    std::vector<llama_token> tokens;  // prompt, then what was sampled
    std::size_t prompt_tokens;
    std::size_t cached_tokens = 0;
    std::uint32_t sampled = 0;
    std::uint32_t most_sampled;  // 0 = no limit but the context
    int top_logprobs;
    bool started = false;
    TimePoint deadline;
    Sampler sampler;
    TextStream text;
    std::vector<Pending> pending;
    std::shared_ptr<ChatSink> sink;
};

/// Generates answers together in one context ("continuous batching"). A step evaluates one batch: a
/// token of every running answer, then a piece of the prompts that are still being read, first come
/// first served. When the shared cache is full, first prefixes kept for reuse are dropped, then the
/// youngest answer loses its cache and is computed again later. Engine thread only.
class ChatRunner {
public:
    [[nodiscard]] static Result<std::unique_ptr<ChatRunner>> make(llama_model& model,
                                                                  const EngineOptions& options,
                                                                  EngineCounters& counters);

    void enqueue(std::unique_ptr<ChatRun> run) { queue_.push_back(std::move(run)); }
    void cancel(JobId id) noexcept;
    void cancel_all() noexcept;
    [[nodiscard]] bool has_work() const noexcept;
    /// One batch; what is sampled goes to the sinks.
    void step();

    /// The most tokens one answer may hold, with its prompt.
    [[nodiscard]] std::size_t context_tokens() const noexcept { return context_tokens_; }

private:
    /// A sequence of the cache: an answer, or the tokens of the last one for reuse.
    struct Slot {
        llama_seq_id sequence = 0;
        std::size_t cached = 0;  // how many of `tokens()` lie in the cache
        std::vector<llama_token> kept;
        std::unique_ptr<ChatRun> run;
        std::uint64_t last_used = 0;

        [[nodiscard]] const std::vector<llama_token>& tokens() const {
            return run ? run->tokens : kept;
        }
        [[nodiscard]] std::size_t left() const { return run ? run->tokens.size() - cached : 0; }
    };
    struct Share {
        Slot* slot;
        std::size_t count;
        std::int32_t row;  // of the output, or -1
    };
    struct Prefix {
        Slot* slot = nullptr;
        std::size_t length = 0;
        bool growing = false;  // a longer one is being evaluated right now
    };

    ChatRunner(ContextWithThreads context, llama_model& model, std::uint32_t sequences,
               EngineCounters& counters);

    void expire();
    void admit();
    [[nodiscard]] Prefix best_prefix(const std::vector<llama_token>& wanted);
    void start(Slot& slot, std::unique_ptr<ChatRun> run, const Prefix& prefix);
    [[nodiscard]] Slot* oldest_idle(const Slot* except) noexcept;
    void plan();
    void share_out(Slot& slot, std::size_t count);
    [[nodiscard]] std::size_t free_cells() const noexcept;
    [[nodiscard]] bool fits(const ChatRun& run) const;
    bool drop_kept_prefix();
    bool make_room();
    void forget(Slot& slot) noexcept;
    void evaluate();
    void take_output(Slot& slot, std::int32_t row);
    void show(ChatRun& run, const std::string& bytes, TokenInfo info, bool& stopped);
    void deliver(ChatRun& run, bool last);
    void finish(Slot& slot, FinishReason reason, std::optional<Error> error = std::nullopt);
    void end_unstarted(ChatRun& run, FinishReason reason, std::optional<Error> error);
    void fail_all(const std::string& what);

    ContextWithThreads context_;
    llama_context& llama_;
    llama_memory_t memory_;
    const llama_vocab& vocab_;
    std::size_t vocabulary_;
    std::size_t context_tokens_;
    bool reuse_prefixes_;
    std::deque<std::unique_ptr<ChatRun>> queue_;
    std::vector<Slot> slots_;
    std::vector<Slot*> by_age_;
    std::vector<Share> shares_;
    Batch batch_;
    std::uint64_t tick_ = 0;
    std::string text_;  // of one delta
    std::vector<TokenInfo> infos_;  // of one delta
    std::vector<float> logits_;  // copy, where the raw ones are wanted afterwards
    EngineCounters& counters_;
};

}  // namespace leeway::models
