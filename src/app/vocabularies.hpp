#pragma once

#include "app/config.hpp"
#include "base/result.hpp"
#include "tokens/calibration_book.hpp"
#include "tokens/model_map.hpp"
#include "tokens/tokenizer.hpp"
#include "tokens/vocabulary.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace leeway::app {

/// The file that `name` means: NAME.vocabulary, NAME.gguf or NAME.json of `default_vocabulary_folder`, or, where
/// `name` has a slash or names a file that is there, that file. `kNotFound`: there is none.
[[nodiscard]] Result<std::string> vocabulary_path(const std::string& name);
/// Opens the file of `vocabulary_path`.
[[nodiscard]] Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(
    const std::string& name);

/// How the tokens of a configured model are counted: by its own `vocabulary:`, by the table `tokenizers:`, else by the
/// built-in map; by what its provider calls it, and where that says nothing by its own name.
[[nodiscard]] tokens::ModelTokens model_tokens(const ModelConfig& model,
                                               const std::vector<tokens::ModelRule>& table);

/// How the tokens of one model are counted. Immutable; owned by a snapshot.
struct TokenRule {
    tokens::ModelTokens model;
    std::shared_ptr<const tokens::Vocabulary> vocabulary;  ///< null: none is at hand
    /// It bills output that it does not show, so what is shown says too little.
    bool hides_output = false;
    /// What providers' reports teach of a tokenizer that is not public; null: nothing. Outlives every snapshot.
    tokens::CalibrationSlot* calibration = nullptr;

    /// What its tokens are estimated with: what is known by now, else the family's prior.
    [[nodiscard]] tokens::Calibration learned() const noexcept {
        return calibration != nullptr ? calibration->read_or_prior()
                                      : tokens::Calibration(model.family);
    }
};

/// The vocabularies of the models of a configuration, opened when it is loaded, never for a request. One that was
/// opened stays, so a reload costs nothing; one that is missing is looked for again. Main thread.
class VocabularyShelf {
public:
    /// Where what is learned is kept from now on; outlives all that was built with it. Null: nothing is learned.
    void use(tokens::CalibrationBook* book) noexcept { book_ = book; }
    /// How the tokens of `model` are counted. An error when it, or the line of `table` that fits, names a vocabulary
    /// that cannot be opened.
    [[nodiscard]] Result<TokenRule> rule_for(const ModelConfig& model,
                                             const std::vector<tokens::ModelRule>& table);

private:
    [[nodiscard]] std::shared_ptr<const tokens::Vocabulary> find(const std::string& name);

    std::map<std::string, std::shared_ptr<const tokens::Vocabulary>, std::less<>> open_;
    tokens::CalibrationBook* book_ = nullptr;
};

/// One worker's tokenizers: they remember pieces. Small ones, as they count what streams.
class WorkerTokenizers {
public:
    /// Null: the rule has no vocabulary.
    [[nodiscard]] tokens::Tokenizer* of(const TokenRule& rule);

private:
    std::map<const tokens::Vocabulary*, std::unique_ptr<tokens::Tokenizer>> all_;
};

/// The tokenizers of a command, each opened once, and what a gateway has learned. One thread.
class Tokenizers {
public:
    /// From now on models are counted as this configuration says.
    void use(const Config& config);
    /// And with what the gateway of this state folder has learned, if anything.
    [[nodiscard]] Result<void> use_state(const std::string& state_folder);

    /// How a model is counted, by its name in the configuration or at its provider.
    [[nodiscard]] tokens::ModelTokens rule_of(const std::string& model) const;
    /// What is known of a model whose tokenizer is not public.
    [[nodiscard]] tokens::Calibration calibration_of(const tokens::ModelTokens& rule,
                                                     const std::string& model) const;
    /// Valid as long as this object.
    [[nodiscard]] Result<tokens::Tokenizer*> named(const std::string& vocabulary);
    /// The vocabulary of a model's rule. Where that of an open model is not there, the rule becomes one to
    /// estimate with, and `note` says so.
    [[nodiscard]] Result<tokens::Tokenizer*> for_rule(tokens::ModelTokens& rule, std::string& note);

private:
    [[nodiscard]] const ModelConfig* configured(const std::string& model) const;

    std::map<std::string, std::unique_ptr<tokens::Tokenizer>> all_;
    std::vector<ModelConfig> models_;
    std::vector<tokens::ModelRule> table_;
    std::unique_ptr<tokens::CalibrationBook> book_ = std::make_unique<tokens::CalibrationBook>();
};

}  // namespace leeway::app
