#pragma once

#include "models/host/llama_backend.hpp"

#include <string>
#include <vector>

namespace leeway::models {

/// Turns a conversation into the model's tokens by the model's own chat template. What users write can
/// never become a control token: text that spells one (like <|im_end|>) stays text. Immutable after
/// construction, so thread-safe.
class PromptBuilder {
public:
    /// `chat_template` replaces the model's when not empty. `model` outlives this.
    PromptBuilder(const llama_model& model, std::string chat_template);

    /// Tokens up to where the assistant's answer starts. Errors: kInvalidRequest with the field in
    /// `param`; kUnavailable when the model has no template that llama.cpp knows.
    [[nodiscard]] Result<std::vector<llama_token>> build(const std::vector<ChatMessage>& messages,
                                                         std::size_t most_tokens) const;

    [[nodiscard]] bool has_template() const noexcept { return !template_.empty(); }

private:
    [[nodiscard]] Result<std::string> apply(const std::vector<ChatMessage>& messages) const;
    [[nodiscard]] Result<std::vector<llama_token>> build_guarded(
        const std::vector<ChatMessage>& messages) const;
    [[nodiscard]] bool spells_control(std::string_view text) const noexcept;

    const llama_vocab& vocab_;
    std::string template_;
    std::vector<std::string> controls_;  // the texts of all tokens that parsing treats as special
    std::size_t longest_token_ = 1;  // bytes
};

}  // namespace leeway::models
