#include "models/host/chat_render.hpp"

#include "json/write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace leeway::models {
namespace {

// What OpenAI says for a token that could hardly come; JSON has no infinity.
constexpr float kLeastLogprob = -9999.0F;

std::string_view reason_text(FinishReason reason) {
    return reason == FinishReason::kLength ? "length" : "stop";
}

void append_token(std::string& out, std::string_view bytes, float logprob) {
    out += R"({"token":)";
    json::append_string(out, bytes);
    out += R"(,"logprob":)";
    char number[32];
    const auto end =
        std::to_chars(number, number + sizeof number, std::max(logprob, kLeastLogprob));
    out.append(number, end.ptr);
    out += R"(,"bytes":[)";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i != 0) out += ',';
        json::append_int(out, static_cast<unsigned char>(bytes[i]));
    }
    out += ']';
}

void append_logprobs(std::string& out, std::span<const TokenInfo> tokens) {
    out += R"({"content":[)";
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (i != 0) out += ',';
        append_token(out, tokens[i].bytes, tokens[i].logprob);
        out += R"(,"top_logprobs":[)";
        for (std::size_t j = 0; j < tokens[i].top.size(); ++j) {
            if (j != 0) out += ',';
            append_token(out, tokens[i].top[j].first, tokens[i].top[j].second);
            out += '}';
        }
        out += "]}";
    }
    out += R"(],"refusal":null})";
}

void append_usage(std::string& out, const Usage& usage) {
    fmt::format_to(std::back_inserter(out),
                   R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                   R"("prompt_tokens_details":{{"cached_tokens":{}}}}})",
                   usage.prompt_tokens, usage.completion_tokens,
                   std::uint64_t{usage.prompt_tokens} + usage.completion_tokens,
                   usage.cached_tokens);
}

}  // namespace

ChatRender::ChatRender(std::string id, std::int64_t created, std::string_view model,
                       bool usage_follows, bool with_logprobs)
    : usage_follows_(usage_follows), with_logprobs_(with_logprobs) {
    const std::string name = json::quoted(model);
    chunk_head_ = fmt::format(R"(data: {{"id":"{}","object":"chat.completion.chunk","created":{},)"
                              R"("model":{},"choices":[)",
                              id, created, name);
    whole_head_ = fmt::format(R"({{"id":"{}","object":"chat.completion","created":{},"model":{},)"
                              R"("choices":[)",
                              id, created, name);
}

void ChatRender::begin_chunk(std::string& out, std::uint32_t index) const {
    out += chunk_head_;
    out += R"({"index":)";
    json::append_int(out, index);
    out += R"(,"delta":)";
}

void ChatRender::end_chunk(std::string& out, std::string_view finish_reason) const {
    out += R"(,"finish_reason":)";
    if (finish_reason.empty()) {
        out += "null";
    } else {
        json::append_string(out, finish_reason);
    }
    out += usage_follows_ ? "}],\"usage\":null}\n\n" : "}]}\n\n";
}

void ChatRender::role_chunk(std::string& out, std::uint32_t index) const {
    begin_chunk(out, index);
    out += R"({"role":"assistant","content":"","refusal":null},"logprobs":null)";
    end_chunk(out, {});
}

void ChatRender::content_chunk(std::string& out, std::uint32_t index, std::string_view text,
                               std::span<const TokenInfo> tokens) const {
    begin_chunk(out, index);
    out += R"({"content":)";
    json::append_string(out, text);
    out += R"(},"logprobs":)";
    if (with_logprobs_) {
        append_logprobs(out, tokens);
    } else {
        out += "null";
    }
    end_chunk(out, {});
}

void ChatRender::finish_chunk(std::string& out, std::uint32_t index, FinishReason reason) const {
    begin_chunk(out, index);
    out += R"({},"logprobs":null)";
    end_chunk(out, reason_text(reason));
}

void ChatRender::usage_chunk(std::string& out, const Usage& usage) const {
    if (!usage_follows_) return;
    out += chunk_head_;
    out += R"(],"usage":)";
    append_usage(out, usage);
    out += "}\n\n";
}

void ChatRender::done(std::string& out) { out += "data: [DONE]\n\n"; }

std::string ChatRender::completion(std::span<const ChatChoice> choices, const Usage& usage) const {
    std::string out = whole_head_;
    for (std::size_t i = 0; i < choices.size(); ++i) {
        const ChatChoice& choice = choices[i];
        if (i != 0) out += ',';
        out += R"({"index":)";
        json::append_int(out, static_cast<std::int64_t>(i));
        out += R"(,"message":{"role":"assistant","content":)";
        json::append_string(out, choice.text);
        out += R"(,"refusal":null},"logprobs":)";
        if (with_logprobs_) {
            append_logprobs(out, choice.tokens);
        } else {
            out += "null";
        }
        out += R"(,"finish_reason":)";
        json::append_string(out, reason_text(choice.reason));
        out += '}';
    }
    out += R"(],"usage":)";
    append_usage(out, usage);
    out += '}';
    return out;
}

}  // namespace leeway::models
