#include "tokens/model_map.hpp"

#include "base/strings.hpp"

#include <array>
#include <utility>

namespace leeway::tokens {
namespace {

struct Rule {
    std::string_view pattern;
    ModelFamily family;
    std::string_view vocabulary;
    bool exact;
};
using F = ModelFamily;
// The first that fits decides. OpenAI's from tiktoken/model.py; the vocabularies of open weights are
// theirs by name and must be loaded from a file.
constexpr std::array kRules{
    Rule{"gpt-oss*", F::kHarmony, "o200k_harmony", true},
    Rule{"gpt-5*", F::kOpenAi, "o200k_base", true},
    Rule{"gpt-4.1*", F::kOpenAi, "o200k_base", true},
    Rule{"gpt-4.5*", F::kOpenAi, "o200k_base", true},
    Rule{"gpt-4o*", F::kOpenAi, "o200k_base", true},
    Rule{"chatgpt-4o*", F::kOpenAi, "o200k_base", true},
    Rule{"ft:gpt-4.1*", F::kOpenAi, "o200k_base", true},
    Rule{"ft:gpt-4o*", F::kOpenAi, "o200k_base", true},
    Rule{"o1*", F::kOpenAi, "o200k_base", true},
    Rule{"o3*", F::kOpenAi, "o200k_base", true},
    Rule{"o4*", F::kOpenAi, "o200k_base", true},
    Rule{"gpt-4*", F::kOpenAi, "cl100k_base", true},
    Rule{"gpt-3.5*", F::kOpenAi, "cl100k_base", true},
    Rule{"gpt-35-*", F::kOpenAi, "cl100k_base", true},
    Rule{"ft:gpt-4*", F::kOpenAi, "cl100k_base", true},
    Rule{"ft:gpt-3.5*", F::kOpenAi, "cl100k_base", true},
    Rule{"text-embedding-*", F::kOpenAi, "cl100k_base", true},
    Rule{"davinci-002", F::kOpenAi, "cl100k_base", true},
    Rule{"babbage-002", F::kOpenAi, "cl100k_base", true},
    Rule{"claude-opus-4-7*", F::kClaude47, "o200k_base", false},
    Rule{"claude-opus-4-8*", F::kClaude47, "o200k_base", false},
    Rule{"claude-opus-4-9*", F::kClaude47, "o200k_base", false},
    Rule{"claude-opus-5*", F::kClaude47, "o200k_base", false},
    Rule{"claude-sonnet-5*", F::kClaude47, "o200k_base", false},
    Rule{"claude-fable*", F::kClaude47, "o200k_base", false},
    Rule{"claude-mythos*", F::kClaude47, "o200k_base", false},
    Rule{"claude*", F::kClaude3, "o200k_base", false},
    Rule{"gemini*", F::kGemini, "o200k_base", false},
    Rule{"gemma*", F::kOpenWeights, "gemma", true},
    Rule{"*smollm2*", F::kOpenWeights, "smollm2", true},
    Rule{"*llama-3*", F::kOpenWeights, "llama3", true},
    Rule{"*llama3*", F::kOpenWeights, "llama3", true},
    Rule{"*llama-4*", F::kOpenWeights, "llama4", true},
    Rule{"*deepseek-r1-distill-qwen*", F::kOpenWeights, "qwen2", true},
    Rule{"*deepseek-r1-distill-llama*", F::kOpenWeights, "llama3", true},
    Rule{"*deepseek*", F::kOpenWeights, "deepseek3", true},
    Rule{"*qwen3*", F::kOpenWeights, "qwen3", true},
    Rule{"*qwen*", F::kOpenWeights, "qwen2", true},
    Rule{"qwq*", F::kOpenWeights, "qwen2", true},
    Rule{"*mistral-nemo*", F::kOpenWeights, "tekken", true},
    Rule{"pixtral*", F::kOpenWeights, "tekken", true},
    Rule{"ministral*", F::kOpenWeights, "tekken", true},
    Rule{"gpt2*", F::kOpenWeights, "gpt2", true},
};

}  // namespace

std::string_view to_string(ModelFamily family) noexcept {
    switch (family) {
        case F::kUnknown: return "unknown";
        case F::kOpenAi: return "openai";
        case F::kHarmony: return "harmony";
        case F::kClaude3: return "claude-3";
        case F::kClaude47: return "claude-4.7";
        case F::kGemini: return "gemini";
        case F::kOpenWeights: return "open-weights";
    }
    return "unknown";
}

ModelTokens tokens_of_vocabulary(std::string vocabulary) {
    F family = F::kOpenWeights;
    if (vocabulary == "o200k_harmony") family = F::kHarmony;
    for (const std::string_view name : {"o200k_base", "cl100k_base", "p50k_base", "r50k_base"}) {
        if (vocabulary == name) family = F::kOpenAi;
    }
    return {family, std::move(vocabulary), true};
}

bool matches_wildcard(std::string_view pattern, std::string_view name) noexcept {
    // The last * seen is where to begin again when what follows it does not fit.
    constexpr std::size_t kNone = std::string_view::npos;
    std::size_t p = 0;
    std::size_t n = 0;
    std::size_t star = kNone;
    std::size_t retry = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            retry = n;
        } else if (p < pattern.size() && ascii_lower(pattern[p]) == ascii_lower(name[n])) {
            ++p;
            ++n;
        } else if (star != kNone) {
            p = star + 1;
            n = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

std::string_view bare_model_name(std::string_view model) noexcept {
    if (const std::size_t slash = model.find_last_of('/'); slash != std::string_view::npos) {
        model.remove_prefix(slash + 1);
    }
    // Bedrock: [region.]provider.model
    for (const std::string_view provider :
         {"anthropic.", "meta.", "mistral.", "deepseek.", "openai."}) {
        const std::size_t at = model.find(provider);
        if (at != std::string_view::npos && (at == 0 || model[at - 1] == '.')) {
            return model.substr(at + provider.size());
        }
    }
    return model;
}

ModelTokens find_model(std::string_view model, const std::vector<ModelRule>& extra) {
    const std::string_view bare = bare_model_name(model);
    for (const ModelRule& rule : extra) {
        if (matches_wildcard(rule.pattern, model)) return rule.tokens;
    }
    for (const ModelRule& rule : extra) {
        if (matches_wildcard(rule.pattern, bare)) return rule.tokens;
    }
    for (const Rule& rule : kRules) {
        if (matches_wildcard(rule.pattern, bare)) {
            return {rule.family, std::string(rule.vocabulary), rule.exact};
        }
    }
    return {F::kUnknown, "o200k_base", false};
}

}  // namespace leeway::tokens
