#pragma once

#include "app/answer_meter.hpp"
#include "methods/cascade/check/logprobs.hpp"
#include "pipeline/trial.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/usage/flavour.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// The stream of a model on trial, from its first byte until it can be judged. All of it is kept. For one choice in OpenAI's
/// chat dialect. Worker-local; uses the thread's JSON indexer.
class TrialStream {
public:
    struct Limits {
        std::size_t tokens = 0;  ///< the first tokens, by which it is judged. > 0
        /// It is kept until it has ended, but given up where those have a mean log-probability below `least_logprob`.
        bool whole = false;
        double least_logprob = 0;
        std::size_t most_bytes = std::size_t{64} << 20U;  ///< the most that is kept
    };
    enum class State : std::uint8_t {
        kOpen,  ///< more is to be read
        kBegun,  ///< its first tokens are there, or it is clear that they tell nothing
        kEnded,  ///< it is whole
        kGivenUp,
        kBroken,  ///< `error` says why
    };

    /// `tokenizer` as of AnswerMeter.
    TrialStream(wire::usage::Flavour flavour, const TokenRule& rule, tokens::Tokenizer* tokenizer,
                const Limits& limits);

    /// The next bytes, however they are cut; also those that were there with what decided.
    void add(std::string_view bytes);
    /// It has ended well below HTTP. Not open any more then.
    void end();

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] bool keeps_whole() const noexcept { return limits_.whole; }
    [[nodiscard]] pipeline::AnswerBeginning beginning() const;
    /// All bytes that have come, to be taken once.
    [[nodiscard]] std::string& text() noexcept { return text_; }
    /// What it comes to by our own count.
    [[nodiscard]] AnswerMeter& meter() noexcept { return meter_; }
    /// As its provider told by now.
    [[nodiscard]] const wire::usage::UsageReading& usage() const noexcept { return usage_; }
    [[nodiscard]] const std::string& model() const noexcept { return model_; }
    [[nodiscard]] wire::StopReason stop() const noexcept { return stop_; }
    /// Of kBroken.
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    /// Of kBroken: the provider told an error and nothing before it, so it made nothing.
    [[nodiscard]] bool refused() const noexcept { return refused_; }

private:
    void take(const wire::openai::SseEvent& event);
    void follow(const wire::StreamEvent& event);
    void decide();
    void breaks(Error error);

    const Limits limits_;
    wire::openai::SseScanner scanner_;
    std::unique_ptr<wire::StreamReader> reader_;
    AnswerMeter meter_;
    cascade::LogprobSum logprobs_;  // of the first tokens
    std::string text_;
    std::vector<wire::StreamEvent> events_;
    wire::usage::UsageReading usage_;
    std::string model_;
    std::size_t said_ = 0;  // events with a piece of the answer
    State state_ = State::kOpen;
    wire::StopReason stop_ = wire::StopReason::kUnset;
    Error error_;
    bool told_usage_ = false;  // behind the stop
    bool done_ = false;  // its last event has come
    bool refuses_ = false;
    bool refused_ = false;
    bool sure_ = false;  // its first tokens were not given up
};

}  // namespace leeway::app
