#include "app/vocabularies.hpp"

#include "app/default_paths.hpp"
#include "tokens/vocabulary_file.hpp"

#include <fmt/format.h>

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
