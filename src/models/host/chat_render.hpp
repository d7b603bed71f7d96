#pragma once

#include "models/host/engine.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::models {

/// One choice of a buffered answer.
struct ChatChoice {
    std::string text;
    std::vector<TokenInfo> tokens;
    FinishReason reason = FinishReason::kStop;
};

/// Writes one answer in OpenAI's shapes: as chunks of an event stream, or whole.
class ChatRender {
public:
    /// `model` is what the client called it. `usage_follows`: the stream will end with a usage chunk, so
    /// the others say `"usage":null`.
    ChatRender(std::string id, std::int64_t created, std::string_view model, bool usage_follows,
               bool with_logprobs);

    // Each appends one event, with its blank line.
    void role_chunk(std::string& out, std::uint32_t index) const;
    void content_chunk(std::string& out, std::uint32_t index, std::string_view text,
                       std::span<const TokenInfo> tokens) const;
    void finish_chunk(std::string& out, std::uint32_t index, FinishReason reason) const;
    /// Nothing when no usage is to follow.
    void usage_chunk(std::string& out, const Usage& usage) const;
    static void done(std::string& out);

    [[nodiscard]] std::string completion(std::span<const ChatChoice> choices,
                                         const Usage& usage) const;

private:
    void begin_chunk(std::string& out, std::uint32_t index) const;
    void end_chunk(std::string& out, std::string_view finish_reason) const;

    std::string chunk_head_;  // `data: {…,"choices":[`
    std::string whole_head_;
    bool usage_follows_;
    bool with_logprobs_;
};

}  // namespace leeway::models
