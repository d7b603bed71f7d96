#pragma once

#include "app/vocabularies.hpp"
#include "tokens/appendable_counter.hpp"
#include "tokens/calibration.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/openai/stream_observer.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::app {

/// The tokens of our own count of a request that was cut.
struct OwnCount {
    wire::openai::UsageReading usage;  ///< kPartial
    tokens::Quality quality = tokens::Quality::kHeuristic;
};

/// Counts the output tokens of a chat stream as it passes: content, refusals, reasoning that is shown, names and
/// arguments of calls, each on its own and for each choice, however the provider cuts them. Text is kept and
/// counted only when a limit comes near or somebody asks, so a stream that ends well costs a search and a copy per
/// event. Without a vocabulary a byte counts as a token, the most that it can be.
///
/// Worker-local; uses the thread's JSON indexer in `add`. The tokenizer must outlive it.
class AnswerMeter {
public:
    /// `tokenizer`: with the rule's vocabulary; null: there is none.
    AnswerMeter(const TokenRule& rule, tokens::Tokenizer* tokenizer) noexcept
        : rule_(&rule), tokenizer_(tokenizer) {}

    /// Takes the data of one event. What is no chat chunk counts nothing.
    void add(std::string_view data);
    /// The same of a stream in another dialect.
    void add(const wire::StreamEvent& event);

    /// Whether more than `limit` output tokens have come, for certain: by the exact count; for a model whose
    /// tokenizer is not public by the lower end of the estimate's 95 % interval, or by far more events than
    /// tokens. O(1) per byte over all calls, also for hostile text.
    [[nodiscard]] bool passed(std::int64_t limit);

    /// What has come, and of that the reasoning.
    struct Output {
        tokens::TokenCount all;
        std::int64_t reasoning = 0;
    };
    [[nodiscard]] Output counted();
    /// No text has come.
    [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }

private:
    struct Lane {
        std::uint64_t key = 0;
        std::string pending;
        std::optional<tokens::AppendableCounter> counter;
        std::int64_t tokens = 0;  ///< when it was asked last
        std::size_t bytes = 0;
    };
    enum class Kind : std::uint8_t { kText, kReasoning, kRefusal, kName, kArguments };

    void parse(std::string_view data);
    void put(std::uint64_t choice, std::uint64_t call, Kind kind, std::string_view text);
    void flush(Lane& lane);
    [[nodiscard]] std::int64_t base(bool exactly, bool reasoning_only = false);
    [[nodiscard]] tokens::TokenCount estimate(std::int64_t base) const;

    const TokenRule* rule_;
    tokens::Tokenizer* tokenizer_;
    std::deque<Lane> lanes_;  // their counters must not move
    Lane* last_ = nullptr;
    std::size_t delta_at_ = 0;  // in the last event
    std::uint64_t events_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t digits_ = 0;
    std::uint64_t other_ = 0;
    bool plain_ = true;  // text only: no frames of calls that nobody documents
    std::string scratch_;
};

/// Our own count of a streamed chat request that was cut: the input by the rules of tokens/chat_count.hpp, the
/// output by `meter`. A body of more than 2 MiB counts as a token for four bytes: nobody shall wait for it. nullopt:
/// the model bills what it does not show.
[[nodiscard]] std::optional<OwnCount> count_cut_stream(std::string_view body, const TokenRule& rule,
                                                       std::string_view model,
                                                       tokens::Tokenizer* tokenizer,
                                                       AnswerMeter& meter);

}  // namespace leeway::app
