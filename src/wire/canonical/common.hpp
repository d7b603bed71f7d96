#pragma once

#include "base/result.hpp"
#include "json/node.hpp"
#include "json/write.hpp"
#include "prices/usage.hpp"
#include "wire/canonical/answer.hpp"
#include "wire/canonical/request.hpp"
#include "wire/usage/extractor.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::wire {

struct Losses;

/// `data:MEDIA;base64,DATA` in its two parts; false for any other address.
[[nodiscard]] bool split_data_url(std::string_view url, std::string& media_type, std::string& data);
[[nodiscard]] std::string data_url(std::string_view media_type, std::string_view data);

/// "medium" for 8,192 tokens, and so on: the levels are those that OpenAI-compatible servers use.
[[nodiscard]] std::string_view effort_of_budget(std::int64_t tokens) noexcept;
[[nodiscard]] std::int64_t budget_of_effort(std::string_view effort) noexcept;

/// The texts of all text parts, put together with `between`.
[[nodiscard]] std::string joined_text(const std::vector<Part>& parts, std::string_view between);

/// The text of a choice that ended by itself and says nothing but text (thoughts aside); nullopt: it is another.
[[nodiscard]] std::optional<std::string> whole_text(const Choice& choice);

/// The number as it is spelled, or empty where there is none or null; a fault for any other type.
[[nodiscard]] Result<std::string> number_text(const json::Node& object, std::string_view key);
[[nodiscard]] Result<std::optional<std::int64_t>> integer_of(const json::Node& object,
                                                             std::string_view key);
/// `kInvalidRequest`, reason "invalid_type": `param` must be `wanted`.
[[nodiscard]] Error wrong_type(std::string_view param, std::string_view wanted);
[[nodiscard]] Error missing(std::string_view param);
/// `kInvalidRequest`, reason "untranslatable".
[[nodiscard]] Error untranslatable(std::string_view param, std::string_view why);

/// The request's body as a tree. It must be an object.
[[nodiscard]] Result<json::Node> read_body(std::string_view body);
/// An answer's body, or one event's data, as a tree; what it says of usage goes to `usage`. It must be an object;
/// errors are `kUpstreamInvalid`.
[[nodiscard]] Result<json::Node> read_upstream(std::string_view body, usage::Extractor& usage);

/// Sums of buckets as dialects tell them.
struct UsageTotals {
    std::int64_t input = 0;  ///< all of the prompt
    std::int64_t cached = 0;
    std::int64_t cache_write = 0;  ///< 5 minutes, 1 hour and unknown
    std::int64_t cache_write_1h = 0;
    std::int64_t output = 0;  ///< with reasoning
    std::int64_t reasoning = 0;
    std::int64_t audio_input = 0;
    std::int64_t audio_output = 0;
    std::int64_t web_searches = 0;
};
[[nodiscard]] UsageTotals totals_of(const prices::Usage& usage) noexcept;

/// The arguments of a call where they must be an object; what a model garbled or was cut in is kept as a text in one.
[[nodiscard]] std::string object_of(const std::string& arguments);
/// What a tool answered, for dialects whose tools answer in text; `media` gets its pictures and the like, which follow in a
/// message of the user.
[[nodiscard]] std::string tool_text(const Part& result, std::vector<const Part*>& media,
                                    Losses& losses);
/// A call as OpenAI's chat has it: `{"id", "type": "function", "function": {"name", "arguments"}}`.
void write_function_call(json::Writer& json, const Part& call);
/// What the system or the developer says, which some dialects tell apart from the conversation.
[[nodiscard]] inline bool is_system(const Message& message) noexcept {
    return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

/// What `error_of`, the dialect's own, finds in the body of a refusal; the status alone where it finds no message.
[[nodiscard]] Error refusal_of(int status, const json::Node* body,
                               Error (*error_of)(const json::Node& body, int status));
/// For dialects in which the blocks of an answer follow one another: a piece of one that is closed has no place.
[[nodiscard]] Error interleaved_calls();

/// Our class for an upstream's HTTP status.
[[nodiscard]] ErrorCode code_of_status(int status) noexcept;

}  // namespace leeway::wire
