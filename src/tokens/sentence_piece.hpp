#pragma once

#include "tokens/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// Encodes with a SentencePiece BPE vocabulary as llama.cpp does (llm_tokenizer_spm): spaces become
/// U+2581, then again and again the two neighbours that make the token of the highest score are merged,
/// the leftmost where several are equal; what is no token in the end becomes the tokens of its bytes.
/// O(n log n). Not thread-safe.
class SentencePieceEncoder {
public:
    explicit SentencePieceEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

    /// Appends the ids of `text` to `out`. Without space before the text when `first` is false: behind a
    /// special token.
    void encode(std::string_view text, bool first, std::vector<TokenId>& out);

    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
    struct Symbol {
        std::uint32_t start;
        std::uint32_t length;  ///< 0: merged into the one before
        std::int32_t previous;
        std::int32_t next;
    };
    struct Pair {
        float score;
        std::uint32_t left;
        std::uint32_t right;
        std::uint32_t length;
    };
    void look_at(std::int32_t left, std::int32_t right);

    const Vocabulary& vocabulary_;
    std::string text_;
    std::vector<Symbol> symbols_;
    std::vector<Pair> heap_;
    std::uint64_t steps_ = 0;
};

}  // namespace leeway::tokens
