#pragma once

#include "base/result.hpp"
#include "tokens/vocabulary.hpp"
#include "tokens/vocabulary_builder.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::tokens {

/// Opens a vocabulary of any kind by looking at the file: one of ours (mapped), GGUF, HuggingFace
/// tokenizer.json, Mistral tekken.json, or a .tiktoken rank file that has one of the known names. The
/// foreign ones are built in memory, which takes up to a second.
[[nodiscard]] Result<std::shared_ptr<const Vocabulary>> open_vocabulary(const std::string& path);

/// Reads the tokenizer out of a GGUF file; only the file's head is looked at, and nothing in it trusted.
[[nodiscard]] Result<VocabularySource> read_gguf(std::string_view file);
/// Reads a byte-level BPE tokenizer.json (HuggingFace).
[[nodiscard]] Result<VocabularySource> read_tokenizer_json(std::string_view text);
/// Reads a tekken.json (Mistral).
[[nodiscard]] Result<VocabularySource> read_tekken_json(std::string_view text);

/// GPT-2's spelling of bytes as printable characters, undone; nullopt where a character stands for none.
[[nodiscard]] std::optional<std::string> unmap_bytes(std::string_view text);

}  // namespace leeway::tokens
