#pragma once

#include "base/result.hpp"
#include "prices/rates.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::wire::openai {

/// Rerank is Cohere's, which other servers took over beside OpenAI's endpoints.
enum class Endpoint : std::uint8_t {
    kChatCompletions = 1,
    kEmbeddings = 2,
    kCompletions = 3,
    kRerank = 4,
};

/// "chat.completions", "embeddings", (the legacy) "completions" or "rerank".
[[nodiscard]] constexpr std::string_view to_string(Endpoint endpoint) noexcept {
    switch (endpoint) {
        case Endpoint::kChatCompletions: break;
        case Endpoint::kEmbeddings: return "embeddings";
        case Endpoint::kCompletions: return "completions";
        case Endpoint::kRerank: return "rerank";
    }
    return "chat.completions";
}

/// A range of bytes of the body. Length 0: the field is not there.
struct Span {
    std::size_t offset = 0;
    std::size_t length = 0;

    [[nodiscard]] bool present() const noexcept { return length != 0; }
    [[nodiscard]] std::size_t end() const noexcept { return offset + length; }
    [[nodiscard]] std::string_view in(std::string_view body) const noexcept {
        return body.substr(offset, length);
    }
};

/// What the gateway needs to know of a request: offsets into its body and a few values. Holds no view,
/// so it stays right when the body's bytes move; it describes these bytes only.
///
/// An optional field that is null counts as not given. `store` and all fields that are not here pass
/// unread.
struct RequestView {
    Endpoint endpoint = Endpoint::kChatCompletions;

    std::size_t object_begin = 0;  ///< just behind the opening brace: a first member goes here
    std::size_t object_end = 0;  ///< at the closing brace: a last member goes here

    Span model_value;  ///< the model's name with its quotes
    std::string model;  ///< the name itself
    std::string user;  ///< empty: not given
    /// What `service_tier` asks for; nullopt: not given, or a word that we do not know.
    std::optional<prices::Tier> tier;

    bool stream = false;
    Span stream_options;  ///< the value, an object or null
    bool stream_options_empty = false;  ///< it is null or {}
    Span include_usage_value;  ///< `stream_options.include_usage`: true, false or null
    bool include_usage = false;  ///< the client wants the usage chunk

    std::optional<double> temperature;
    std::optional<std::int64_t> max_tokens;
    std::optional<std::int64_t> max_completion_tokens;
    std::int64_t n = 1;  ///< answers that are made; completions: `n` or `best_of` for each prompt
    bool echo = false;  ///< completions: the answer begins with the prompt
    Span messages;  ///< the array (of chat only)
    Span metadata;  ///< the value, an object; what is in it is not judged
    Span
        input;  ///< the value of `input`; of completions `prompt`, of rerank `documents` (chat: none)
    std::uint32_t message_count = 0;
    std::uint32_t input_count = 0;  ///< texts to be embedded or ranked; completions: prompts
    bool has_tools = false;  ///< `tools` or `functions` with at least one entry
    bool has_query = false;  ///< rerank
    bool has_media = false;  ///< a content part that is neither text nor refusal

    /// The lower of the two limits on the answer, if any is given.
    [[nodiscard]] std::optional<std::int64_t> answer_limit() const noexcept;
};

/// Reads and checks a request body in one pass: all of its syntax, UTF-8, depth ≤ 64, types of the fields
/// that matter, duplicate keys at the top level and in messages. Ranges that only a provider can judge
/// (temperature, roles, limits of tokens) are its to judge. The body needs no padding.
///
/// Errors are `kInvalidRequest` in OpenAI's words with `param` ("messages[2].content") and reason
/// ("invalid_json", "missing_required_parameter", "invalid_type", "empty_array", "duplicate_key", …).
/// Uses the thread's JSON indexer; about 0.4 ns per byte.
[[nodiscard]] Result<RequestView> parse_request(Endpoint endpoint, std::string_view body);

}  // namespace leeway::wire::openai
