#include "tokens/appendable_counter.hpp"

#include "tokens/scan.hpp"
#include "tokens/unicode.hpp"

#include <algorithm>
#include <array>

namespace leeway::tokens {
namespace {

// The rules look at most this far behind a piece, beyond the runs that `is_final` follows itself: two
// characters, or the three bytes of a contraction.
constexpr std::size_t kLookAhead = 8;
constexpr std::size_t kFirstTry = 64;
constexpr std::size_t kExactBelow = 128;
constexpr std::size_t kLongestPiece = 256 * 1024;

const unsigned char* bytes_of(const std::string& text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

AppendableCounter::AppendableCounter(Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      // SentencePiece knows no pieces, and a special token may begin in one part and end in the next.
      cuts_(tokenizer.vocabulary().kind() == VocabularyKind::kBytePairs &&
            !tokenizer.cuts_special_tokens()),
      slack_(tokenizer.vocabulary().has(kSpaceBefore) ? 3 : 0),
      try_at_(kFirstTry) {}

void AppendableCounter::append(std::string_view text) {
    if (text.empty()) return;
    open_.append(text);
    if (cuts_ && open_.size() >= try_at_) close_pieces();
    if (cuts_ && open_.size() > kLongestPiece) close_endless();
}

void AppendableCounter::close_endless() {
    std::size_t end = open_.size();
    // A character that is not whole yet stays: its last byte is at most three away.
    for (std::size_t back = 1; back <= 4 && back < open_.size(); ++back) {
        const auto byte = static_cast<unsigned char>(open_[open_.size() - back]);
        if ((byte & 0xC0U) == 0x80U) continue;
        if (byte >= 0xC0U) end = open_.size() - back;
        break;
    }
    closed_ += tokenizer_.count(std::string_view(open_).substr(0, end));
    open_.erase(0, end);
    open_.shrink_to_fit();
    counted_ = 0;
    open_count_ = 0;
    try_at_ = kFirstTry;
}

bool AppendableCounter::is_final(std::size_t start, std::size_t end) const noexcept {
    const unsigned char* const begin = bytes_of(open_);
    const unsigned char* const stop = begin + open_.size();
    // A run of white space is judged as a whole, and so are the letters behind a piece that gave some
    // back (o200k: capitals without a small letter behind them).
    ClassSet runs = set_of(CharClass::kSpace);
    const unsigned char* last = begin + end - 1;
    while (last > begin + start && (*last & 0xC0U) == 0x80U) --last;
    if (*last >= 0x80) {
        runs |= set_of(CharClass::kUpper, CharClass::kLower, CharClass::kLetter, CharClass::kMark);
    }
    const unsigned char* at = begin + end;
    while (at < stop) {
        const Char c = char_at(at, stop);
        if ((c.set & runs) == 0) break;
        at += c.length;
    }
    return static_cast<std::size_t>(stop - at) >= kLookAhead;
}

void AppendableCounter::close_pieces() {
    PieceScanner scanner(tokenizer_.vocabulary().grammar(), open_);
    std::array<std::uint32_t, 256> ends;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t start = 0;
    std::size_t closed = 0;
    bool going = true;
    while (going) {
        const std::size_t pieces = scanner.next(ends.data(), ends.size());
        going = pieces > 0;
        for (std::size_t i = 0; going && i < pieces; ++i) {
            going = is_final(start, ends[i]);
            if (going) closed = ends[i];
            start = ends[i];
        }
    }
    if (closed > 0) {
        closed_ += tokenizer_.count(std::string_view(open_).substr(0, closed));
        open_.erase(0, closed);
        counted_ = 0;
        open_count_ = 0;
    }
    // A long open end is looked at again when it has doubled, so that all looks together are linear.
    try_at_ = std::max(kFirstTry, open_.size() * 2);
}

std::size_t AppendableCounter::count() {
    if (counted_ != open_.size()) {
        open_count_ = tokenizer_.count(open_);
        counted_ = open_.size();
    }
    return closed_ + open_count_;
}

bool AppendableCounter::passed(std::size_t limit) {
    if (at_most() <= limit) return false;
    if (at_least() > limit) return true;
    const bool may_wait =
        open_.size() > kExactBelow && counted_ > 0 && open_.size() - counted_ < open_.size() / 8;
    return (may_wait ? closed_ + open_count_ : count()) > limit;
}

}  // namespace leeway::tokens
