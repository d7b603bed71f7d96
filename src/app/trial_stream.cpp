#include "app/trial_stream.hpp"

#include <utility>

namespace leeway::app {
namespace {

using Event = wire::StreamEvent::Kind;
using wire::StopReason;

constexpr std::string_view kDone = "data: [DONE]\n\n";

Error invalid(std::string message, std::string reason) {
    return Error{ErrorCode::kUpstreamInvalid,
                 std::move(message),
                 "send the request again",
                 {},
                 std::move(reason)};
}

Error cut() {
    return invalid("the upstream's stream ended before the answer was complete",
                   "upstream_stream_cut");
}

}  // namespace

TrialStream::TrialStream(wire::usage::Flavour flavour, const TokenRule& rule,
                         tokens::Tokenizer* tokenizer, const Limits& limits)
    : limits_(limits),
      reader_(wire::upstream_codec_of(wire::Dialect::kOpenAiChat).stream_reader(flavour)),
      meter_(rule, tokenizer) {}

void TrialStream::breaks(Error error) {
    if (state_ == State::kBroken) return;
    state_ = State::kBroken;
    error_ = std::move(error);
}

void TrialStream::add(std::string_view bytes) {
    text_.append(bytes);
    scanner_.feed(bytes);
    wire::openai::SseEvent event;
    // All that has come is looked at, also behind what decides: an end that speaks against the answer may be there.
    while (state_ != State::kBroken) {
        auto more = scanner_.next(event);
        if (!more) breaks(std::move(more.error()));
        if (!more || !*more) break;
        take(event);
    }
    if (text_.size() > limits_.most_bytes)
        breaks(invalid("the upstream's answer is larger than the gateway takes",
                       "upstream_answer_too_large"));
    decide();
}

void TrialStream::take(const wire::openai::SseEvent& event) {
    if (done_) return;  // nothing is told behind the end
    if (event.has_data && logprobs_.tokens() < limits_.tokens) logprobs_.add_answer(event.data);
    events_.clear();
    if (auto read = reader_->read(event, events_); !read) breaks(std::move(read.error()));
    for (const wire::StreamEvent& one : events_) follow(one);
}

void TrialStream::follow(const wire::StreamEvent& event) {
    switch (event.kind) {
        case Event::kStart: model_ = event.model; break;
        case Event::kStop: stop_ = event.stop; break;
        case Event::kUsage:
            usage_ = event.usage;
            told_usage_ = stop_ != StopReason::kUnset;
            break;
        case Event::kError:
            refused_ = said_ == 0 && meter_.empty();
            breaks(event.error);
            break;
        case Event::kEnd: done_ = true; break;
        case Event::kThinking: meter_.add(event); break;  // comes without log-probabilities
        default:
            ++said_;
            refuses_ = refuses_ || event.kind == Event::kRefusal;
            meter_.add(event);
            break;
    }
}

void TrialStream::decide() {
    if (state_ != State::kOpen) return;
    const bool stopped = stop_ != StopReason::kUnset;
    // Providers tell the usage behind the last piece: with it the answer has its price.
    if (stopped && (done_ || told_usage_)) {
        state_ = State::kEnded;
        return;
    }
    if (done_) {
        breaks(cut());
        return;
    }
    if (stopped) return;
    const bool enough = logprobs_.tokens() >= limits_.tokens;
    if (!limits_.whole) {
        // Who tells none for so many pieces tells none for the rest.
        const bool silent = logprobs_.tokens() == 0 && said_ >= limits_.tokens;
        if (enough || silent || refuses_) state_ = State::kBegun;
        return;
    }
    if (!enough || std::exchange(sure_, true)) return;
    if (*logprobs_.mean() < limits_.least_logprob) state_ = State::kGivenUp;
}

void TrialStream::end() {
    if (state_ != State::kOpen) return;
    wire::openai::SseEvent rest;
    if (scanner_.finish(rest)) {
        take(rest);
        text_ += "\n\n";  // what is added must not become a part of it
    }
    if (stop_ == StopReason::kUnset) {
        breaks(cut());
        return;
    }
    if (state_ == State::kBroken) return;
    // Some providers leave it out, and what reads on takes it for the end.
    if (!std::exchange(done_, true)) text_ += kDone;
    state_ = State::kEnded;
}

pipeline::AnswerBeginning TrialStream::beginning() const {
    return {logprobs_.mean(), stop_, refuses_};
}

}  // namespace leeway::app
