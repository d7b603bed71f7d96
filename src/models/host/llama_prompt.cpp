#include "models/host/llama_prompt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace leeway::models {
namespace {

std::string field(std::size_t index, const char* name) {
    return fmt::format("messages[{}].{}", index, name);
}

Error invalid(std::string message, std::string param) {
    Error error;
    error.code = ErrorCode::kInvalidRequest;
    error.message = std::move(message);
    error.param = std::move(param);
    return error;
}

bool is_role(std::string_view role) noexcept {
    return !role.empty() && role.size() <= 32 && std::all_of(role.begin(), role.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    });
}

// Stands for the text of message `index` while the template is applied. Letters only, so no template
// trims it.
std::string placeholder(std::size_t index) { return fmt::format("LeewayMessage{}Here", index); }

}  // namespace

PromptBuilder::PromptBuilder(const llama_model& model, std::string chat_template)
    : vocab_(*llama_model_get_vocab(&model)), template_(std::move(chat_template)) {
    if (template_.empty()) {
        const char* own = llama_model_chat_template(&model, nullptr);
        if (own != nullptr) template_ = own;
    }
    constexpr auto kSpecial = static_cast<unsigned>(LLAMA_TOKEN_ATTR_CONTROL) |
                              static_cast<unsigned>(LLAMA_TOKEN_ATTR_USER_DEFINED) |
                              static_cast<unsigned>(LLAMA_TOKEN_ATTR_UNKNOWN);
    for (llama_token token = 0; token < llama_vocab_n_tokens(&vocab_); ++token) {
        const std::string_view text = llama_vocab_get_text(&vocab_, token);
        longest_token_ = std::max(longest_token_, text.size());
        if ((static_cast<unsigned>(llama_vocab_get_attr(&vocab_, token)) & kSpecial) != 0 &&
            !text.empty()) {
            controls_.emplace_back(text);
        }
    }
}

bool PromptBuilder::spells_control(std::string_view text) const noexcept {
    return std::any_of(controls_.begin(), controls_.end(), [&](const std::string& control) {
        return text.find(control) != std::string_view::npos;
    });
}

Result<std::vector<llama_token>> PromptBuilder::build(const std::vector<ChatMessage>& messages,
                                                      std::size_t most_tokens) const {
    if (messages.empty()) return fail(invalid("messages is empty", "messages"));
    if (template_.empty()) {
        return fail(ErrorCode::kUnavailable,
                    "the model has no chat template: it is not made for chat",
                    "name another model");
    }
    std::size_t bytes = 0;
    bool guarded = false;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const ChatMessage& message = messages[i];
        if (!is_role(message.role)) {
            return fail(
                invalid("the role must be system, user, assistant or tool", field(i, "role")));
        }
        bytes += message.content.size();
    }
    // Saves the work for what can never fit, whatever the tokeniser makes of it.
    if (bytes / longest_token_ > most_tokens) {
        return fail(
            invalid(fmt::format("the prompt has at least {} tokens, the model's context holds {}",
                                bytes / longest_token_, most_tokens),
                    "messages"));
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
        // The template works on C strings, which end at a NUL.
        guarded = guarded || messages[i].content.find('\0') != std::string::npos ||
                  spells_control(messages[i].content);
    }
    if (guarded) return build_guarded(messages);
    Result<std::string> text = apply(messages);
    if (!text) return fail(std::move(text.error()));
    return tokenize(vocab_, *text, true, true);
}

Result<std::string> PromptBuilder::apply(const std::vector<ChatMessage>& messages) const {
    std::vector<llama_chat_message> turns;
    turns.reserve(messages.size());
    std::size_t size = 256;
    for (const ChatMessage& message : messages) {
        // OpenAI renamed the system role for its newer models; no template knows the new name.
        const char* role = message.role == "developer" ? "system" : message.role.c_str();
        turns.push_back({role, message.content.c_str()});
        size += message.role.size() + message.content.size() + 64;
    }
    std::string text(size, '\0');
    for (int attempt = 0; attempt < 2; ++attempt) {
        const std::int32_t length =
            llama_chat_apply_template(template_.c_str(), turns.data(), turns.size(), true,
                                      text.data(), static_cast<std::int32_t>(text.size()));
        if (length < 0) {
            return fail(ErrorCode::kUnavailable,
                        "llama.cpp does not know the model's chat template",
                        "set chat_template to the name of a like one, e.g. chatml");
        }
        const bool fits = static_cast<std::size_t>(length) <= text.size();
        text.resize(static_cast<std::size_t>(length));
        if (fits) break;
    }
    return text;
}

Result<std::vector<llama_token>> PromptBuilder::build_guarded(
    const std::vector<ChatMessage>& messages) const {
    std::vector<ChatMessage> marked = messages;
    for (std::size_t i = 0; i < marked.size(); ++i) marked[i].content = placeholder(i);
    Result<std::string> text = apply(marked);
    if (!text) return fail(std::move(text.error()));
    std::vector<llama_token> tokens;
    const auto append = [&](std::string_view part, bool special) {
        auto more = tokenize(vocab_, part, tokens.empty() && special, special);
        if (more) tokens.insert(tokens.end(), more->begin(), more->end());
        return more.has_value();
    };
    std::string_view rest = *text;
    bool good = true;
    for (std::size_t i = 0; i < messages.size() && good; ++i) {
        const std::size_t at = rest.find(placeholder(i));
        if (at == std::string_view::npos) continue;  // templates may leave turns out
        good = append(rest.substr(0, at), true) &&
               (messages[i].content.empty() || append(messages[i].content, false));
        rest.remove_prefix(at + placeholder(i).size());
    }
    if (!good || !append(rest, true)) {
        return fail(ErrorCode::kInvalidRequest, "the messages cannot be tokenised for this model");
    }
    return tokens;
}

}  // namespace leeway::models
