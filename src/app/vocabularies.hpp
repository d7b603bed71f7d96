#pragma once

#include "base/result.hpp"
#include "tokens/vocabulary.hpp"

#include <memory>
#include <string>

namespace leeway::app {

/// Opens NAME.vocabulary, NAME.gguf or NAME.json of `default_vocabulary_folder`, or, where `name` has a slash or names a
/// file that is there, that file.
[[nodiscard]] Result<std::shared_ptr<const tokens::Vocabulary>> open_named_vocabulary(
    const std::string& name);

}  // namespace leeway::app
