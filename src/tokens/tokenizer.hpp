#pragma once

#include "tokens/bpe.hpp"
#include "tokens/piece_cache.hpp"
#include "tokens/sentence_piece.hpp"
#include "tokens/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace leeway::tokens {

/// Counts and encodes text with one vocabulary, exactly as the vocabulary's own tokenizer does for
/// ordinary text: the names of special tokens in it are text like any other (but see
/// `SpecialToken::always`). Remembers pieces, so keep
/// it. Worker-local: not thread-safe; the vocabulary is shared.
class Tokenizer {
public:
    struct Options {
        std::size_t tiny_pieces = std::size_t{1} << 15U;  ///< power of two; 16 bytes each
        std::size_t short_pieces = std::size_t{1} << 16U;  ///< power of two; 32 bytes each
        std::size_t long_pieces = std::size_t{1} << 12U;  ///< power of two
        /// Read the names of special tokens in a text as those tokens: for rendered prompts, never for
        /// what a user wrote.
        bool parse_specials = false;
    };
    explicit Tokenizer(std::shared_ptr<const Vocabulary> vocabulary)
        : Tokenizer(std::move(vocabulary), Options{}) {}
    Tokenizer(std::shared_ptr<const Vocabulary> vocabulary, const Options& options);
    ~Tokenizer();
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    [[nodiscard]] const Vocabulary& vocabulary() const noexcept { return *vocabulary_; }

    /// Whether some special tokens are cut out of any text before it is split.
    [[nodiscard]] bool cuts_special_tokens() const noexcept { return !always_.empty(); }

    // All texts must be at most kMaxTextBytes long.

    /// Number of tokens.
    [[nodiscard]] std::size_t count(std::string_view text);
    /// The ids, valid until the next call.
    [[nodiscard]] std::span<const TokenId> encode(std::string_view text);

    struct Limited {
        std::size_t tokens = 0;  ///< of the first `bytes` bytes; at most the limit
        std::size_t bytes = 0;  ///< whole pieces that fit
        bool all = false;  ///< the text ended before the limit was passed
    };
    /// Counts from the front and stops at the piece that would pass `limit`.
    [[nodiscard]] Limited count_until(std::string_view text, std::size_t limit);

    struct Bounds {
        std::size_t lower = 0;
        std::size_t upper = 0;
    };
    /// Between what the count lies, without merging anything: pieces that are known count as they are,
    /// another has at least one token and at most one a byte.
    [[nodiscard]] Bounds bounds(std::string_view text) const;

    /// Calls `each` with every piece and its ids, in order.
    void for_each_piece(
        std::string_view text,
        const std::function<void(std::string_view, std::span<const TokenId>)>& each);

    /// Work done by the merging core since the start, in pair look-ups: for tests of linearity.
    [[nodiscard]] std::uint64_t steps() const noexcept {
        return encoder_.steps() + (sentences_ != nullptr ? sentences_->steps() : 0);
    }

private:
    /// Cuts the text before the first special token off `text`, and that token too (kNoToken: none).
    [[nodiscard]] std::string_view ordinary(std::string_view& text, TokenId& token) const;
    std::size_t count_ordinary(std::string_view text);
    void encode_ordinary(std::string_view text);
    /// Counts a part of a text up to the limit; false: the limit is reached.
    bool count_part(std::string_view text, std::size_t limit, Limited& out);
    std::size_t count_pieces(std::string_view text, std::size_t start, const std::uint32_t* ends,
                             std::size_t pieces);
    void encode_pieces(std::string_view text, std::size_t start, const std::uint32_t* ends,
                       std::size_t pieces);
    /// A piece that is long or not known.
    std::size_t count_rare(std::string_view piece);
    std::size_t count_long(std::string_view piece);
    /// A piece that is not known, or that an entry cannot hold.
    void encode_rare(std::string_view piece);
    /// Puts what `merge` found for a short piece into the caches.
    void learn(std::string_view piece);
    /// Merges; fills merged_ with ids.
    void merge(std::string_view piece);
    void reserve(std::size_t more);
    void emit(const TokenId* ids, std::size_t count);

    std::shared_ptr<const Vocabulary> vocabulary_;
    BytePairEncoder encoder_;
    TinyPieceCache tiny_;
    ShortPieceCache short_;
    LongPieceCache long_;
    std::unique_ptr<SentencePieceEncoder> sentences_;
    std::vector<SpecialToken> always_;  ///< longest first
    std::string first_bytes_;  ///< with which those begin
    std::vector<TokenId> merged_;
    std::unique_ptr<TokenId[]> out_;
    std::size_t out_size_ = 0;
    std::size_t out_capacity_ = 0;
};

}  // namespace leeway::tokens
