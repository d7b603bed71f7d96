#pragma once

#include "base/result.hpp"
#include "tokens/grammar.hpp"
#include "tokens/vocabulary.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::tokens {

/// A vocabulary as its publisher describes it.
struct VocabularySource {
    std::string name;
    Grammar grammar = Grammar::kNone;
    VocabularyKind kind = VocabularyKind::kBytePairs;

    struct Token {
        std::string bytes;
        TokenId id = 0;
        float score = 0;  ///< SentencePiece only
    };
    /// In any order. Byte-level vocabularies hold all 256 single bytes.
    std::vector<Token> tokens;
    /// Pairs of tokens (as bytes) that merge, the first of the list first. With `ranked` it stays empty.
    std::vector<std::pair<std::string, std::string>> merges;
    /// tiktoken's form: two neighbours merge when their bytes together are a token, that of the lowest
    /// id first.
    bool ranked = false;
    /// A piece that is a token is that token, whether or not merging leads to it (tiktoken always;
    /// HuggingFace's `ignore_merges`).
    bool whole_pieces = false;
    std::vector<SpecialToken> specials;
    std::uint32_t flags = 0;  ///< VocabularyFlag
    /// SentencePiece: the tokens that stand for the bytes, and the one for what is unknown.
    std::array<TokenId, 256> byte_tokens{};
    TokenId unknown = 0;
};

/// The file image of a vocabulary. Fails with `kConfig` on missing bytes, duplicate tokens, merges of
/// what is no token, too many tokens.
///
/// Only one pair of tokens can ever merge into a given token: what lies between two borders that no
/// merge crosses develops as it would alone, so the last merge of the token's own bytes is the only way
/// to it. The builder finds it by merging each token's bytes; all other pairs are left out.
[[nodiscard]] Result<std::string> build_vocabulary(const VocabularySource& source);

/// Reads the lines "base64-of-token SPACE rank" of a .tiktoken file.
[[nodiscard]] Result<VocabularySource> read_tiktoken(std::string_view text);
/// Gives a source read from one of OpenAI's rank files its grammar and special tokens. Known names:
/// cl100k_base, o200k_base, o200k_harmony, r50k_base, p50k_base.
[[nodiscard]] Result<void> name_tiktoken(VocabularySource& source, std::string_view name);

/// Writes `image` beside `path` and moves it there.
[[nodiscard]] Result<void> write_vocabulary(const std::string& path, std::string_view image);

}  // namespace leeway::tokens
