#include "app/vocabularies.hpp"

#include "app/calibration_file.hpp"
#include "app/default_paths.hpp"
#include "tokens/vocabulary_file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
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

Result<std::string> vocabulary_path(const std::string& name) {
    if (name.find('/') == std::string::npos) {
        for (const char* ending : {".vocabulary", ".gguf", ".json"}) {
            const fs::path path = fs::path(default_vocabulary_folder()) / (name + ending);
            if (is_file(path)) return path.string();
        }
    }
    if (is_file(name)) return name;
    if (name.find('/') != std::string::npos) {
        return fail(ErrorCode::kNotFound, "there is no file " + name);
    }
    return fail(
        ErrorCode::kNotFound,
        "there is no vocabulary '" + name + "' in " + default_vocabulary_folder(),
        "tools/setup.sh makes cl100k_base, o200k_base and o200k_harmony; others: --vocabulary "
        "FILE, or put NAME.gguf or NAME.json there");
}

Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(const std::string& name) {
    const auto path = vocabulary_path(name);
    if (!path) return fail(path.error());
    return tokens::open_vocabulary(*path);
}

tokens::ModelTokens model_tokens(const ModelConfig& model,
                                 const std::vector<tokens::ModelRule>& table) {
    if (!model.vocabulary.empty()) return tokens::tokens_of_vocabulary(model.vocabulary);
    tokens::ModelTokens out = tokens::find_model(model.upstream_name, table);
    if (out.family == tokens::ModelFamily::kUnknown) out = tokens::find_model(model.name, table);
    return out;
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

Result<TokenRule> VocabularyShelf::rule_for(const ModelConfig& model,
                                            const std::vector<tokens::ModelRule>& table) {
    TokenRule out;
    out.model = model_tokens(model, table);
    // These think without showing it, and bill it as output.
    for (const char* pattern :
         {"o1*", "o3*", "o4*", "gpt-5*", "gemini-2.5*", "gemini-3*", "gemini-4*"}) {
        const auto fits = [&](std::string_view name) {
            return tokens::matches_wildcard(pattern, tokens::bare_model_name(name));
        };
        if (fits(model.upstream_name) || fits(model.name)) out.hides_output = true;
    }
    const bool in_table =
        std::any_of(table.begin(), table.end(), [&](const tokens::ModelRule& rule) {
            return rule.tokens.vocabulary == out.model.vocabulary;
        });
    if (out.model.exact && (in_table || !model.vocabulary.empty())) {
        auto& slot = open_[out.model.vocabulary];
        if (!slot) {
            auto opened = open_named_vocabulary(out.model.vocabulary);
            if (!opened) return fail(std::move(opened.error()));
            slot = std::move(*opened);
        }
        out.vocabulary = slot;
        return out;
    }
    out.vocabulary = find(out.model.vocabulary);
    if (!out.vocabulary) {
        out.model.exact = false;
        out.vocabulary = find("o200k_base");
    }
    // Learned from counts in o200k_base only: another start would be another scale.
    if (!out.model.exact && out.vocabulary && book_ != nullptr) {
        out.calibration =
            &book_->slot(tokens::calibration_key(out.model, model.upstream_name), out.model.family);
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

void Tokenizers::use(const Config& config) {
    models_ = config.models;
    table_ = config.tokenizers;
}

Result<void> Tokenizers::use_state(const std::string& state_folder) {
    return load_calibration(state_folder, *book_);
}

const ModelConfig* Tokenizers::configured(const std::string& model) const {
    const auto found = std::find_if(models_.begin(), models_.end(),
                                    [&](const ModelConfig& one) { return one.name == model; });
    return found == models_.end() ? nullptr : &*found;
}

tokens::ModelTokens Tokenizers::rule_of(const std::string& model) const {
    const ModelConfig* known = configured(model);
    return known != nullptr ? model_tokens(*known, table_) : tokens::find_model(model, table_);
}

tokens::Calibration Tokenizers::calibration_of(const tokens::ModelTokens& rule,
                                               const std::string& model) const {
    const ModelConfig* known = configured(model);
    return book_->calibration(rule, known != nullptr ? known->upstream_name : model);
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
