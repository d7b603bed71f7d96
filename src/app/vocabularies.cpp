#include "app/vocabularies.hpp"

#include "app/default_paths.hpp"
#include "tokens/vocabulary_file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <system_error>

namespace leeway::app {
namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
}

}  // namespace

Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(const std::string& name) {
    if (name.find('/') == std::string::npos) {
        for (const char* ending : {".vocabulary", ".gguf", ".json"}) {
            const fs::path path = fs::path(default_vocabulary_folder()) / (name + ending);
            if (is_file(path)) return tokens::open_vocabulary(path.string());
        }
    }
    if (name.find('/') != std::string::npos || is_file(name)) return tokens::open_vocabulary(name);
    return fail(
        ErrorCode::kNotFound,
        "there is no vocabulary '" + name + "' in " + default_vocabulary_folder(),
        "tools/setup.sh makes cl100k_base, o200k_base and o200k_harmony; others: --vocabulary "
        "FILE, or put NAME.gguf or NAME.json there");
}

std::shared_ptr<const tokens::Vocabulary> VocabularyShelf::find(const std::string& name) {
    const auto known = open_.find(name);
    if (known != open_.end()) return known->second;
    auto opened = open_named_vocabulary(name);
    if (!opened) {
        if (opened.error().code != ErrorCode::kNotFound) {
            spdlog::warn("vocabulary {}: {}", name, opened.error().text());
        }
        return nullptr;
    }
    return open_.emplace(name, std::move(*opened)).first->second;
}

Result<TokenRule> VocabularyShelf::rule_for(const ModelConfig& model) {
    TokenRule out;
    if (!model.vocabulary.empty()) {
        auto& slot = open_[model.vocabulary];
        if (!slot) {
            auto opened = open_named_vocabulary(model.vocabulary);
            if (!opened) return fail(std::move(opened.error()));
            slot = std::move(*opened);
        }
        out.vocabulary = slot;
        out.model = {tokens::ModelFamily::kOpenAi, model.vocabulary, true};
        return out;
    }
    out.model = tokens::find_model(model.upstream_name);
    if (out.model.family == tokens::ModelFamily::kUnknown) {
        out.model = tokens::find_model(model.name);
    }
    // These think without showing it, and bill it as output.
    for (const char* pattern :
         {"o1*", "o3*", "o4*", "gpt-5*", "gemini-2.5*", "gemini-3*", "gemini-4*"}) {
        const auto fits = [&](std::string_view name) {
            return tokens::matches_wildcard(pattern, tokens::bare_model_name(name));
        };
        if (fits(model.upstream_name) || fits(model.name)) out.hides_output = true;
    }
    out.vocabulary = find(out.model.vocabulary);
    if (!out.vocabulary) {
        out.model.exact = false;
        out.vocabulary = find("o200k_base");
    }
    return out;
}

tokens::Tokenizer* WorkerTokenizers::of(const TokenRule& rule) {
    if (!rule.vocabulary) return nullptr;
    auto& slot = all_[rule.vocabulary.get()];
    if (!slot) {
        tokens::Tokenizer::Options small;
        small.tiny_pieces = 1U << 12U;
        small.short_pieces = 1U << 13U;
        small.long_pieces = 1U << 8U;
        slot = std::make_unique<tokens::Tokenizer>(rule.vocabulary, small);
    }
    return slot.get();
}

Result<tokens::Tokenizer*> Tokenizers::named(const std::string& vocabulary) {
    auto& slot = all_[vocabulary];
    if (slot == nullptr) {
        auto opened = open_named_vocabulary(vocabulary);
        if (!opened) return fail(std::move(opened.error()));
        slot = std::make_unique<tokens::Tokenizer>(std::move(*opened));
    }
    return slot.get();
}

Result<tokens::Tokenizer*> Tokenizers::for_rule(tokens::ModelTokens& rule, std::string& note) {
    auto tokenizer = named(rule.vocabulary);
    if (tokenizer || rule.family != tokens::ModelFamily::kOpenWeights) return tokenizer;
    note = fmt::format("no vocabulary '{}': estimated", rule.vocabulary);
    rule.vocabulary = "o200k_base";
    rule.exact = false;
    return named(rule.vocabulary);
}

}  // namespace leeway::app
