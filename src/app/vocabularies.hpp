#pragma once

#include "base/result.hpp"
#include "tokens/vocabulary.hpp"

#include <memory>
#include <string>

namespace leeway::app {

/// The folder of the vocabulary files: $LEEWAY_VOCABULARIES, else where tools/setup.sh puts them.
[[nodiscard]] std::string vocabulary_folder();

/// Opens NAME.vocabulary, NAME.gguf or NAME.json of that folder, or, where `name` has a slash or names a
/// file that is there, that file.
[[nodiscard]] Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(
    const std::string& name);

}  // namespace leeway::app
