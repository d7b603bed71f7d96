#pragma once

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
