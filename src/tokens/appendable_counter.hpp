#pragma once

#include "tokens/tokenizer.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace leeway::tokens {

/// Counts the tokens of a text that arrives in parts, such as a streamed answer. However it is cut, the
/// count is that of the whole. Pieces that no later text can change are counted once and forgotten; what
/// is kept is the open end, usually a word or two. A single piece of more than 256 KiB, which only hostile text has, is
/// counted in parts of that size, each at most a token or two off. Worker-local; the tokenizer must outlive it.
class AppendableCounter {
public:
    explicit AppendableCounter(Tokenizer& tokenizer);

    /// Adds text; a character may be cut between two parts. Amortised O(1) per byte.
    void append(std::string_view text);

    /// The tokens of all text so far, as if it ended here. Takes time in proportion to the open end. It
    /// may fall when text is added: inside a piece counts are not monotonic.
    [[nodiscard]] std::size_t count();
    /// Between what the count lies and will lie; O(1).
    [[nodiscard]] std::size_t at_least() const noexcept {
        return closed_ + (open_.empty() ? 0 : 1);
    }
    [[nodiscard]] std::size_t at_most() const noexcept { return closed_ + open_.size() + slack_; }
    /// Whether more than `limit` tokens have come. For asking after each part of a stream: exact as long
    /// as the open end is short, and for a single piece of more than 128 bytes late by at most an eighth
    /// of it, so that asking stays O(1) per byte for hostile text too.
    [[nodiscard]] bool passed(std::size_t limit);

    /// Bytes that are kept.
    [[nodiscard]] std::size_t open_bytes() const noexcept { return open_.size(); }

private:
    void close_pieces();
    void close_endless();
    [[nodiscard]] bool is_final(std::size_t start, std::size_t end) const noexcept;

    Tokenizer& tokenizer_;
    bool cuts_;  ///< the vocabulary works on pieces, so some can be closed
    std::size_t slack_;  ///< tokens that can come without a byte
    std::size_t closed_ = 0;  ///< tokens of what was forgotten
    std::string open_;
    std::size_t try_at_;  ///< size of the open end at which closing is tried again
    std::size_t open_count_ = 0;  ///< of the first `counted_` bytes of the open end
    std::size_t counted_ = 0;
};

}  // namespace leeway::tokens
