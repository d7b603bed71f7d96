#include "models/host/llama_chat.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace leeway::models {
namespace {

// A prompt alone is read in pieces of this size: larger ones gain nothing on a CPU, and a cancel waits
// for one piece.
constexpr std::size_t kPromptPiece = 128;
// Beside running answers: each of them waits for one piece between two of its tokens.
constexpr std::size_t kSharedPiece = 32;
// A prefix that is being read for another request is worth waiting for from this length on.
constexpr std::size_t kWorthWaiting = 64;
// Cells that must be left beside a new request's prompt before it starts next to others.
constexpr std::size_t kRoomToGrow = 64;

std::size_t common_prefix(const std::vector<llama_token>& a, const std::vector<llama_token>& b) {
    const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(end - a.begin());
}

std::uint32_t narrow(std::size_t value) { return static_cast<std::uint32_t>(value); }

}  // namespace

ChatRun::ChatRun(JobId job_id, std::vector<llama_token> prompt, ChatJob job, std::uint32_t seed)
    : id(job_id),
      tokens(std::move(prompt)),
      prompt_tokens(tokens.size()),
      most_sampled(static_cast<std::uint32_t>(std::max(0, job.sampling.max_tokens))),
      top_logprobs(job.sampling.top_logprobs),
      deadline(job.deadline),
      sampler(job.sampling, seed),
      text(std::move(job.sampling.stop)),
      sink(std::move(job.sink)) {}

Result<std::unique_ptr<ChatRunner>> ChatRunner::make(llama_model& model,
                                                     const EngineOptions& options,
                                                     EngineCounters& counters) {
    const auto trained = static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(&model)));
    const std::uint32_t wanted = options.context_tokens == 0 ? trained : options.context_tokens;
    const auto most = static_cast<std::uint32_t>(llama_max_parallel_sequences());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = std::min(wanted, trained);
    params.n_seq_max = std::clamp(options.sequences, 1U, most);
    params.n_batch = static_cast<std::uint32_t>(kPromptPiece) + params.n_seq_max;
    params.n_ubatch = params.n_batch;
    params.n_outputs_max =
        params.n_seq_max;  // else logits for a whole batch of tokens are reserved
    params.kv_unified = true;
    auto context = make_context(model, params, std::max(1U, options.threads));
    if (!context) return fail(std::move(context.error()));
    return std::unique_ptr<ChatRunner>(
        new ChatRunner(std::move(*context), model, params.n_seq_max, counters));
}

ChatRunner::ChatRunner(ContextWithThreads context, llama_model& model, std::uint32_t sequences,
                       EngineCounters& counters)
    : context_(std::move(context)),
      llama_(*context_.context),
      memory_(llama_get_memory(&llama_)),
      vocab_(*llama_model_get_vocab(&model)),
      vocabulary_(static_cast<std::size_t>(llama_vocab_n_tokens(&vocab_))),
      context_tokens_(llama_n_ctx_seq(&llama_)),
      reuse_prefixes_(!llama_model_is_recurrent(&model) && !llama_model_is_hybrid(&model) &&
                      llama_model_n_swa(&model) == 0),
      slots_(sequences),
      batch_(llama_n_batch(&llama_)),
      counters_(counters) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        slots_[i].sequence = static_cast<llama_seq_id>(i);
        by_age_.push_back(&slots_[i]);
    }
}

bool ChatRunner::has_work() const noexcept {
    return !queue_.empty() || std::any_of(slots_.begin(), slots_.end(),
                                          [](const Slot& slot) { return slot.run != nullptr; });
}

void ChatRunner::cancel(JobId id) noexcept {
    for (Slot& slot : slots_) {
        if (slot.run && slot.run->id == id) return finish(slot, FinishReason::kCanceled);
    }
    const auto found =
        std::find_if(queue_.begin(), queue_.end(), [&](const auto& run) { return run->id == id; });
    if (found == queue_.end()) return;
    end_unstarted(**found, FinishReason::kCanceled, std::nullopt);
    queue_.erase(found);
}

void ChatRunner::cancel_all() noexcept {
    for (Slot& slot : slots_) {
        if (slot.run) finish(slot, FinishReason::kCanceled);
    }
    for (const auto& run : queue_) end_unstarted(*run, FinishReason::kCanceled, std::nullopt);
    queue_.clear();
}

void ChatRunner::step() {
    expire();
    admit();
    do {
        plan();
        // Nothing fits although something runs: the cache is full.
    } while (batch_.size() == 0 && make_room());
    if (batch_.size() > 0) {
        evaluate();
    } else if (has_work()) {
        fail_all("the key-value cache is full and nothing in it can be dropped");
    }
}

void ChatRunner::expire() {
    if (queue_.empty()) return;
    const TimePoint now = monotonic_now();
    for (auto at = queue_.begin(); at != queue_.end();) {
        ChatRun& run = **at;
        if (run.started || run.deadline > now) {
            ++at;
            continue;
        }
        Error error;
        error.code = ErrorCode::kUnavailable;
        error.message = "the model was busy until the request's deadline";
        error.hint = "try again later, or allow more time";
        error.reason = "busy";
        end_unstarted(run, FinishReason::kError, std::move(error));
        at = queue_.erase(at);
    }
}

void ChatRunner::admit() {
    while (!queue_.empty()) {
        Slot* idle = oldest_idle(nullptr);
        if (idle == nullptr || !fits(*queue_.front())) return;
        const Prefix prefix = best_prefix(queue_.front()->tokens);
        if (prefix.growing) return;
        Slot* target = idle;
        if (prefix.slot != nullptr && !prefix.slot->run) {
            Slot* other = oldest_idle(prefix.slot);
            // Continues in place, unless that would throw most of a kept conversation away needlessly.
            target =
                prefix.length * 2 >= prefix.slot->cached || other == nullptr ? prefix.slot : other;
        }
        std::unique_ptr<ChatRun> run = std::move(queue_.front());
        queue_.pop_front();
        start(*target, std::move(run), prefix);
    }
}

bool ChatRunner::fits(const ChatRun& run) const {
    std::size_t committed = 0;
    for (const Slot& slot : slots_) {
        if (slot.run) committed += slot.run->tokens.size();
    }
    // Without room to grow it would soon push out, or be pushed out by, what already runs.
    return committed == 0 || committed + run.tokens.size() + kRoomToGrow <= context_tokens_;
}

ChatRunner::Prefix ChatRunner::best_prefix(const std::vector<llama_token>& wanted) {
    Prefix best;
    if (!reuse_prefixes_) return best;
    const std::size_t most =
        wanted.size() - 1;  // the last token is always evaluated: for its logits
    std::size_t coming = 0;
    for (Slot& slot : slots_) {
        const std::size_t length = std::min(common_prefix(slot.tokens(), wanted), most);
        const std::size_t there = std::min(length, slot.cached);
        if (there > best.length) best = {&slot, there, false};
        if (slot.run) coming = std::max(coming, length);
    }
    best.growing = coming >= best.length + kWorthWaiting;
    return best;
}

void ChatRunner::start(Slot& slot, std::unique_ptr<ChatRun> run, const Prefix& prefix) {
    if (prefix.slot == &slot &&
        llama_memory_seq_rm(memory_, slot.sequence, static_cast<llama_pos>(prefix.length), -1)) {
        slot.cached = prefix.length;
    } else {
        forget(slot);
        if (prefix.slot != nullptr && prefix.slot != &slot) {
            llama_memory_seq_cp(memory_, prefix.slot->sequence, slot.sequence, 0,
                                static_cast<llama_pos>(prefix.length));
            slot.cached = prefix.length;
        }
    }
    slot.kept.clear();
    if (!run->started) {
        run->started = true;
        run->cached_tokens = slot.cached;
        counters_.cached_tokens += slot.cached;
        --counters_.waiting;
        ++counters_.running;
    }
    slot.run = std::move(run);
}

ChatRunner::Slot* ChatRunner::oldest_idle(const Slot* except) noexcept {
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
        if (slot.run || &slot == except) continue;
        if (oldest == nullptr || slot.last_used < oldest->last_used) oldest = &slot;
    }
    return oldest;
}

void ChatRunner::plan() {
    batch_.clear();
    shares_.clear();
    std::sort(by_age_.begin(), by_age_.end(), [](const Slot* a, const Slot* b) {
        return (a->run ? a->run->id : 0) < (b->run ? b->run->id : 0);
    });
    std::size_t answering = 0;
    std::size_t needed = 0;
    for (const Slot* slot : by_age_) {
        answering += slot->left() == 1 ? 1U : 0U;
        needed += slot->left();
    }
    const std::size_t piece = answering > 0 ? kSharedPiece : kPromptPiece;
    const std::size_t wanted = std::min(needed, answering + (needed > answering ? piece : 0));
    while (free_cells() < wanted && drop_kept_prefix()) {
    }
    std::size_t cells = free_cells();
    if (cells < answering) return;  // an answer must yield
    for (Slot* slot : by_age_) {
        if (slot->left() == 1) share_out(*slot, 1);
    }
    cells -= answering;
    std::size_t prompt = std::min({piece, cells, batch_.room()});
    for (Slot* slot : by_age_) {
        if (slot->left() < 2 || prompt == 0) continue;
        const std::size_t count = std::min(slot->left(), prompt);
        share_out(*slot, count);
        prompt -= count;
    }
}

void ChatRunner::share_out(Slot& slot, std::size_t count) {
    const bool to_the_end = count == slot.left();
    Share share{&slot, count, -1};
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = slot.cached + i;
        const bool output = to_the_end && i + 1 == count;
        const std::int32_t row =
            batch_.add(slot.run->tokens[at], static_cast<llama_pos>(at), slot.sequence, output);
        if (output) share.row = row;
    }
    shares_.push_back(share);
}

std::size_t ChatRunner::free_cells() const noexcept {
    std::size_t used = 0;  // cells that two sequences share count twice: errs on the safe side
    for (const Slot& slot : slots_) used += slot.cached;
    const std::size_t all = llama_n_ctx(&llama_);
    return used < all ? all - used : 0;
}

bool ChatRunner::drop_kept_prefix() {
    Slot* oldest = nullptr;
    for (Slot& slot : slots_) {
        if (slot.run || slot.cached == 0) continue;
        if (oldest == nullptr || slot.last_used < oldest->last_used) oldest = &slot;
    }
    if (oldest != nullptr) forget(*oldest);
    return oldest != nullptr;
}

bool ChatRunner::make_room() {
    if (drop_kept_prefix()) return true;
    Slot* youngest = nullptr;
    std::size_t holding = 0;
    for (Slot& slot : slots_) {
        if (!slot.run) continue;
        ++holding;
        if (youngest == nullptr || slot.run->id > youngest->run->id) youngest = &slot;
    }
    if (holding < 2) return false;  // one alone always fits
    forget(*youngest);
    queue_.push_front(std::move(youngest->run));
    ++counters_.preempted;
    return true;
}

void ChatRunner::forget(Slot& slot) noexcept {
    llama_memory_seq_rm(memory_, slot.sequence, -1, -1);
    slot.cached = 0;
    slot.kept.clear();
}

void ChatRunner::evaluate() {
    std::int32_t code = -1;
    try {
        code = llama_decode(&llama_, batch_.view());
    } catch (const std::exception& error) {
        spdlog::error("llama.cpp: {}", error.what());
    }
    if (code == 1 && make_room()) return;  // fragmented beyond our count: the next step tries again
    if (code != 0) return fail_all(fmt::format("llama_decode failed with code {}", code));
    for (const Share& share : shares_) {
        share.slot->cached += share.count;
        if (share.count > 1 || share.slot->cached <= share.slot->run->prompt_tokens) {
            counters_.prompt_tokens += share.count;
        }
    }
    for (const Share& share : shares_) {
        // A failure ends every answer, also those whose turn is still to come here.
        if (share.row >= 0 && share.slot->run) take_output(*share.slot, share.row);
    }
}

void ChatRunner::take_output(Slot& slot, std::int32_t row) {
    ChatRun& run = *slot.run;
    std::span<float> logits(llama_get_logits_ith(&llama_, row), vocabulary_);
    if (logits.data() == nullptr) return fail_all("llama.cpp gave no logits");
    TokenInfo info;
    const std::span<const float> raw = logits;
    float total = 0;
    if (run.top_logprobs >= 0) {
        total = log_sum_exp(raw);
        for (const auto& [token, logit] :
             largest(raw, static_cast<std::size_t>(run.top_logprobs))) {
            info.top.emplace_back(token_bytes(vocab_, token), logit - total);
        }
        logits_.assign(raw.begin(), raw.end());  // sampling changes what it samples from
        logits = logits_;
    }
    const llama_token token = run.sampler.sample(logits);
    ++run.sampled;
    ++counters_.completion_tokens;
    if (llama_vocab_is_eog(&vocab_, token)) return finish(slot, FinishReason::kStop);
    run.tokens.push_back(token);
    const std::string bytes = token_bytes(vocab_, token);
    if (run.top_logprobs >= 0) {
        info.bytes = bytes;
        info.logprob = raw[static_cast<std::size_t>(token)] - total;
    }
    bool stopped = false;
    show(run, bytes, std::move(info), stopped);
    if (stopped) return finish(slot, FinishReason::kStop);
    if (run.sampled == run.most_sampled || run.tokens.size() >= context_tokens_) {
        finish(slot, FinishReason::kLength);
    }
}

void ChatRunner::show(ChatRun& run, const std::string& bytes, TokenInfo info, bool& stopped) {
    const std::size_t start = run.text.taken();
    text_.clear();
    stopped = run.text.push(bytes, text_);
    if (run.top_logprobs >= 0)
        run.pending.push_back({std::move(info), start, start + bytes.size()});
    deliver(run, stopped);
}

void ChatRunner::deliver(ChatRun& run, bool last) {
    infos_.clear();
    std::size_t count = 0;
    const std::size_t shown = run.text.shown();
    for (ChatRun::Pending& token : run.pending) {
        // At a stop string the token that is shown in part still counts.
        if (last ? token.start >= shown && token.end != shown : token.end > shown) break;
        infos_.push_back(std::move(token.info));
        ++count;
    }
    run.pending.erase(run.pending.begin(),
                      run.pending.begin() + static_cast<std::ptrdiff_t>(count));
    if (!text_.empty() || !infos_.empty()) run.sink->on_delta({text_, infos_});
}

void ChatRunner::finish(Slot& slot, FinishReason reason, std::optional<Error> error) {
    const std::unique_ptr<ChatRun> run = std::move(slot.run);
    if (reason == FinishReason::kStop || reason == FinishReason::kLength) {
        text_.clear();
        run->text.finish(text_);  // nothing after a stop string
        deliver(*run, false);
    }
    run->sink->on_done({reason,
                        {narrow(run->prompt_tokens), narrow(run->cached_tokens), run->sampled},
                        std::move(error)});
    slot.last_used = ++tick_;
    slot.kept = std::move(run->tokens);
    slot.kept.resize(slot.cached);
    if (!reuse_prefixes_) forget(slot);
    --counters_.running;
    ++counters_.jobs_done;
}

void ChatRunner::end_unstarted(ChatRun& run, FinishReason reason, std::optional<Error> error) {
    run.sink->on_done({reason,
                       {narrow(run.prompt_tokens), narrow(run.cached_tokens), run.sampled},
                       std::move(error)});
    --(run.started ? counters_.running : counters_.waiting);
    ++counters_.jobs_done;
}

void ChatRunner::fail_all(const std::string& what) {
    spdlog::error("local model: {}", what);
    for (Slot& slot : slots_) {
        if (slot.run) {
            Error error;
            error.message = "the local model failed: " + what;
            finish(slot, FinishReason::kError, std::move(error));
        }
        forget(slot);
    }
    llama_memory_clear(memory_, false);
}

}  // namespace leeway::models
