#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace leeway::wire {

/// Who speaks. What tools answered stands in messages of the user, as parts.
enum class Role : std::uint8_t { kSystem, kDeveloper, kUser, kAssistant };

/// How long a prompt up to here shall stay in the provider's cache.
enum class CacheMark : std::uint8_t { kNone, kFiveMinutes, kOneHour };

/// One piece of a message. Which fields count depends on `kind`; all texts are unescaped.
struct Part {
    enum class Kind : std::uint8_t {
        kText,
        kRefusal,     ///< `text`: why the model does not answer
        kThinking,    ///< `text`, `signature`, `id`
        kRedacted,    ///< thinking that only its provider can read: `data`
        kImage,       ///< one of `data` + `media_type`, `url`, `file_id`; `detail`
        kAudio,       ///< `data` + `media_type`
        kVideo,       ///< `data` or `url`, + `media_type`
        kDocument,    ///< one of `data` + `media_type`, `url`, `file_id`, `text`; `name`
        kToolCall,    ///< `id`, `name`, `text`: the arguments as JSON text; `signature` (Gemini)
        kToolResult,  ///< `id`, `name`, `content`, `is_error`
    };
    Kind kind = Kind::kText;
    std::string text;
    std::string id;
    std::string name;
    std::string media_type;
    std::string data;  ///< base64, as it came
    std::string url;
    std::string file_id;
    std::string detail;
    std::string signature;
    std::vector<Part> content;
    bool is_error = false;
    CacheMark cache = CacheMark::kNone;

    [[nodiscard]] static Part of_text(std::string text) {
        Part part;
        part.text = std::move(text);
        return part;
    }
};

struct Message {
    Role role = Role::kUser;
    std::vector<Part> parts;
    std::string name;
};

/// A function that the model may ask for.
struct Tool {
    std::string name;
    std::string description;
    std::string parameters;  ///< JSON schema as JSON text; empty: none
    std::optional<bool> strict;
    CacheMark cache = CacheMark::kNone;
};

struct ToolChoice {
    enum class Kind : std::uint8_t { kUnset, kAuto, kNone, kRequired, kNamed };
    Kind kind = Kind::kUnset;
    std::string name;  ///< kNamed
    std::optional<bool> parallel;  ///< whether several calls may come at once
};

/// The form that the answer must have.
struct OutputFormat {
    enum class Kind : std::uint8_t { kUnset, kText, kJson, kSchema };
    Kind kind = Kind::kUnset;
    std::string name;
    std::string description;
    std::string schema;  ///< JSON text
    std::optional<bool> strict;
};

/// How much the model shall think before it answers.
struct Reasoning {
    enum class Kind : std::uint8_t { kUnset, kOff, kEffort, kBudget, kAdaptive };
    Kind kind = Kind::kUnset;
    std::string
        effort;  ///< "minimal", "low", "medium", "high", "xhigh", "max"; may stand beside a budget
    std::int64_t budget = 0;  ///< tokens
    bool shown = false;  ///< the thoughts, or a summary of them, are wanted in the answer
};

/// A request for one answer in no dialect: what any of them can say and another can understand. Numbers that
/// only models judge are kept as they were spelled; an empty one was not given.
struct ChatRequest {
    std::string model;
    std::vector<Message> messages;
    std::vector<Tool> tools;
    ToolChoice tool_choice;
    OutputFormat format;
    Reasoning reasoning;
    std::optional<std::int64_t> max_tokens;
    std::string temperature;
    std::string top_p;
    std::string top_k;
    std::string presence_penalty;
    std::string frequency_penalty;
    std::string seed;
    std::vector<std::string> stop;
    std::int64_t n = 1;
    bool logprobs = false;
    std::optional<std::int64_t> top_logprobs;
    std::string user;
    std::string metadata;  ///< a JSON object as JSON text
    std::string service_tier;
    bool stream = false;
    bool include_usage = false;  ///< OpenAI chat: the last chunk of a stream shall tell usage
    /// Names of fields that no other dialect understands, e.g. "logit_bias", "tools[1]": a translation must tell
    /// that they were left out.
    std::vector<std::string> unknown;
};

}  // namespace leeway::wire
