#pragma once

#include "wire/openai/sse.hpp"
#include "wire/openai/usage.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::json {
struct Tokens;
}

namespace leeway::wire::openai {

/// What is known of a chat stream. All of it is what the provider said.
struct StreamFacts {
    bool done = false;      ///< `[DONE]` came
    bool finished = false;  ///< `[DONE]`, or a finish_reason for every choice: not cut
    bool is_error = false;  ///< an error came in the stream
    /// The last that was told before `[DONE]`; providers count upwards. kPartial when not finished.
    UsageReading usage;
    std::string model;  ///< may be empty
    std::string finish_reason;  ///< of choice 0, or of the first to finish; empty: none did
    std::string error_message;  ///< when `is_error`; may be empty
    std::uint64_t events = 0;  ///< events with data, without `[DONE]`
};

/// Watches the events of one chat stream as they are relayed. Most events are only searched for a few
/// keys; one is parsed when it holds usage, a finish reason, an error, or is the first.
///
/// Owned by one thread; uses the thread's JSON indexer inside `observe`.
class StreamObserver {
public:
    struct Options {
        /// We asked for usage, the client did not: keep it out of what is relayed.
        bool hide_usage = false;
        /// How many choices the request asked for (`n`).
        std::int64_t choices = 1;
        usage::Flavour flavour = usage::Flavour::kOpenAiChat;
    };

    explicit StreamObserver(Options options) : options_(options) {}

    /// What to send on for `event`: `event.raw` itself; nothing (empty) for an event that the client must
    /// not see; or other bytes, with exactly the usage member cut out. Valid as long as `event`, and no
    /// longer than until the next call.
    [[nodiscard]] std::string_view observe(const SseEvent& event);

    /// What is known by now. After the stream's end: what is known of the stream.
    [[nodiscard]] StreamFacts facts() const;

private:
    struct Chunk;

    std::string_view inspect(const SseEvent& event);
    void read_chunk(const json::Tokens& tokens, Chunk& chunk);
    std::string_view without(const SseEvent& event, std::size_t key, std::size_t value_end);
    void finish_choice(std::int64_t index, std::string_view reason);

    Options options_;
    StreamFacts facts_;
    UsageReading reading_;
    std::optional<prices::Tier> tier_;
    std::vector<std::int64_t> finished_;  // indexes of the choices with a finish reason
    bool finish_of_first_ = false;  // facts_.finish_reason is choice 0's
    unsigned parses_for_model_ = 0;
    std::string rewritten_;
};

}  // namespace leeway::wire::openai
