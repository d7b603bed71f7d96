#include "tokens/grammar.hpp"

#include <array>
#include <string>

namespace leeway::tokens {
namespace {

struct GgufName {
    std::string_view pre;
    Grammar grammar;
};
// From llama.cpp's llama-vocab.cpp: what each name of a pre-tokenizer stands for.
constexpr std::array kGgufNames{
    GgufName{"gpt-2", Grammar::kGpt2},
    GgufName{"phi-2", Grammar::kGpt2},
    GgufName{"jina-es", Grammar::kGpt2},
    GgufName{"jina-de", Grammar::kGpt2},
    GgufName{"mpt", Grammar::kGpt2},
    GgufName{"olmo", Grammar::kGpt2},
    GgufName{"jais", Grammar::kGpt2},
    GgufName{"trillion", Grammar::kGpt2},
    GgufName{"llama3", Grammar::kLlama3},
    GgufName{"llama-v3", Grammar::kLlama3},
    GgufName{"llama-bpe", Grammar::kLlama3},
    GgufName{"falcon3", Grammar::kLlama3},
    GgufName{"falcon-h1", Grammar::kLlama3},
    GgufName{"pixtral", Grammar::kLlama3},
    GgufName{"midm-2.0", Grammar::kLlama3},
    GgufName{"lfm2", Grammar::kLlama3},
    GgufName{"dbrx", Grammar::kLlama3},
    GgufName{"smaug-bpe", Grammar::kLlama3},
    GgufName{"glm4", Grammar::kLlama3},
    GgufName{"chatglm-bpe", Grammar::kLlama3},
    GgufName{"qwen2", Grammar::kQwen2},
    GgufName{"deepseek-r1-qwen", Grammar::kQwen2},
    GgufName{"stablelm2", Grammar::kQwen2},
    GgufName{"megrez", Grammar::kQwen2},
    GgufName{"hunyuan", Grammar::kQwen2},
    GgufName{"smollm", Grammar::kSmolLm2},
    GgufName{"starcoder", Grammar::kSmolLm2},
    GgufName{"refact", Grammar::kSmolLm2},
    GgufName{"command-r", Grammar::kSmolLm2},
    GgufName{"codeshell", Grammar::kSmolLm2},
    GgufName{"exaone", Grammar::kSmolLm2},
    GgufName{"minerva-7b", Grammar::kSmolLm2},
    GgufName{"deepseek-v3", Grammar::kDeepSeek3},
    GgufName{"hunyuan-dense", Grammar::kDeepSeek3},
    GgufName{"gpt-4o", Grammar::kO200k},
    GgufName{"llama4", Grammar::kO200k},
    GgufName{"tekken", Grammar::kTekken},
};

// The patterns are compared after this: files write line ends as escapes or as themselves.
std::string plain(std::string_view pattern) {
    std::string out;
    for (const char c : pattern) {
        if (c == '\r') {
            out += "\\r";
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out.push_back(c);
        }
    }
    return out;
}

/// The two word alternatives of o200k and tekken.
std::string o200k_words(std::string_view contraction) {
    const std::string start = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
    const std::string end = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
    const std::string after(contraction);
    return start + "*" + end + "+" + after + "|" + start + "+" + end + "*" + after;
}

}  // namespace

std::string_view grammar_name(Grammar grammar) noexcept {
    switch (grammar) {
        case Grammar::kNone: return "none";
        case Grammar::kGpt2: return "gpt2";
        case Grammar::kCl100k: return "cl100k";
        case Grammar::kO200k: return "o200k";
        case Grammar::kLlama3: return "llama3";
        case Grammar::kQwen2: return "qwen2";
        case Grammar::kSmolLm2: return "smollm2";
        case Grammar::kDeepSeek3: return "deepseek3";
        case Grammar::kTekken: return "tekken";
    }
    return "none";
}

std::optional<Grammar> grammar_of_gguf(std::string_view pre) noexcept {
    for (const GgufName& name : kGgufNames) {
        if (name.pre == pre) return name.grammar;
    }
    return std::nullopt;
}

std::optional<Grammar> grammar_of_pattern(std::string_view pattern) {
    const std::string text = plain(pattern);
    constexpr std::string_view kTail = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
    constexpr std::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    const std::string cl100k = std::string(kContractions) + R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)";
    const std::string cl100k_signs = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)" + std::string(kTail);
    if (text == cl100k + R"(\p{N}{1,3})" + cl100k_signs) return Grammar::kLlama3;
    if (text == cl100k + R"(\p{N})" + cl100k_signs) return Grammar::kQwen2;
    const std::string o200k_signs = R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + std::string(kTail);
    const std::string o200k = o200k_words(std::string(kContractions) + "?");
    if (text == o200k + R"(|\p{N}{1,3})" + o200k_signs) return Grammar::kO200k;
    if (text == o200k_words("") + R"(|\p{N})" + o200k_signs) return Grammar::kTekken;
    if (text.starts_with(R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)")) {
        return Grammar::kDeepSeek3;
    }
    if (text == R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)") {
        return Grammar::kGpt2;
    }
    return std::nullopt;
}

}  // namespace leeway::tokens
