#pragma once

#include "base/result.hpp"
#include "wire/canonical/request.hpp"
#include "wire/usage/extractor.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace leeway::wire {

/// Why an answer ended.
enum class StopReason : std::uint8_t {
    kUnset,  ///< it has not ended
    kEnd,
    kLength,  ///< its limit of tokens
    kToolUse,
    kStopSequence,
    kFilter,  ///< the provider's filter cut it
    kRefusal,  ///< the model refused
    kPause,  ///< a long turn of the provider's own tools stopped and may be continued
    kContextWindow,  ///< the model's context is full
    kMalformedCall,  ///< the model's call of a tool could not be read
};

struct Choice {
    std::int64_t index = 0;
    std::vector<Part> parts;
    StopReason stop = StopReason::kUnset;
    std::string stop_sequence;
    std::string logprobs;  ///< OpenAI's, as JSON text
};

/// A whole answer in no dialect.
struct ChatAnswer {
    std::string id;
    std::string model;
    std::int64_t created = 0;  ///< Unix seconds; 0: not told
    std::vector<Choice> choices;  ///< at least one
    usage::UsageReading usage;
    std::string service_tier;
};

/// A step of a streamed answer in no dialect. A stream is: one kStart, deltas, one kStop for each choice, usage at
/// any time (the last counts), then kEnd; or kError and nothing more.
struct StreamEvent {
    enum class Kind : std::uint8_t {
        kStart,  ///< `id`, `model`
        kText,  ///< `text` is added to part `part`, like the next three
        kRefusal,
        kThinking,
        kSignature,  ///< `text` signs the thinking of part `part`
        kRedacted,  ///< `text`: a whole part
        kToolCall,  ///< part `part` is a call: `id`, `name`
        kToolArguments,  ///< `text` is added to its arguments
        kStop,  ///< `stop`, `text`: the stop sequence
        kUsage,  ///< `usage`
        kError,  ///< `error`
        kEnd,
    };
    Kind kind = Kind::kStart;
    std::int64_t choice = 0;
    /// Numbers of parts rise within a choice; parts of a stream follow one another.
    std::uint32_t part = 0;
    std::string text;
    std::string id;
    std::string name;
    std::string model;
    StopReason stop = StopReason::kUnset;
    usage::UsageReading usage;
    Error error;
};

}  // namespace leeway::wire
