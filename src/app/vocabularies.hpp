#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "tokens/model_map.hpp"
#include "tokens/tokenizer.hpp"
#include "tokens/vocabulary.hpp"

#include <map>
#include <memory>
#include <string>

namespace leeway::app {

/// Opens NAME.vocabulary, NAME.gguf or NAME.json of `default_vocabulary_folder`, or, where `name` has a slash or names a
/// file that is there, that file.
[[nodiscard]] Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(
    const std::string& name);

/// How the tokens of one model are counted. Immutable; owned by a snapshot.
struct TokenRule {
    tokens::ModelTokens model;
    std::shared_ptr<const tokens::Vocabulary> vocabulary;  ///< null: none is at hand
    /// It bills output that it does not show, so what is shown says too little.
    bool hides_output = false;
};

/// The vocabularies of the models of a configuration, opened when it is loaded, never for a request. One that was
/// opened stays, so a reload costs nothing; one that is missing is looked for again. Main thread.
class VocabularyShelf {
public:
    /// How the tokens of `model` are counted. An error when it names a vocabulary that cannot be opened.
    [[nodiscard]] Result<TokenRule> rule_for(const ModelConfig& model);

private:
    [[nodiscard]] std::shared_ptr<const tokens::Vocabulary> find(const std::string& name);

    std::map<std::string, std::shared_ptr<const tokens::Vocabulary>, std::less<>> open_;
};

/// One worker's tokenizers: they remember pieces. Small ones, as they count what streams.
class WorkerTokenizers {
public:
    /// Null: the rule has no vocabulary.
    [[nodiscard]] tokens::Tokenizer* of(const TokenRule& rule);

private:
    std::map<const tokens::Vocabulary*, std::unique_ptr<tokens::Tokenizer>> all_;
};

/// The tokenizers of a command, each opened once. One thread.
class Tokenizers {
public:
    /// Valid as long as this object.
    [[nodiscard]] Result<tokens::Tokenizer*> named(const std::string& vocabulary);
    /// The vocabulary of a model's rule. Where that of an open model is not there, the rule becomes one to
    /// estimate with, and `note` says so.
    [[nodiscard]] Result<tokens::Tokenizer*> for_rule(tokens::ModelTokens& rule, std::string& note);

private:
    std::map<std::string, std::unique_ptr<tokens::Tokenizer>> all_;
};

}  // namespace leeway::app
