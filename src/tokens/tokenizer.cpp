#include "tokens/tokenizer.hpp"

#include "base/hash.hpp"
#include "tokens/kernel.hpp"
#include "tokens/scan.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace leeway::tokens {
namespace {

// Enough to let the two halves of the work, cutting and looking up, run in tight loops; small enough to
// stay in the first cache.
using detail::kBatch;
using Ends = std::array<std::uint32_t, kBatch>;

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const Vocabulary> vocabulary, const Options& options)
    : vocabulary_(std::move(vocabulary)),
      encoder_(*vocabulary_),
      tiny_(options.tiny_pieces),
      short_(options.short_pieces),
      long_(options.long_pieces) {
    for (const SpecialToken& special : vocabulary_->specials()) {
        if ((special.always || options.parse_specials) && !special.text.empty()) {
            always_.push_back(special);
        }
    }
    std::sort(always_.begin(), always_.end(), [](const SpecialToken& a, const SpecialToken& b) {
        return a.text.size() > b.text.size();
    });
    for (const SpecialToken& special : always_) {
        if (first_bytes_.find(special.text[0]) == std::string::npos)
            first_bytes_ += special.text[0];
    }
    if (vocabulary_->kind() == VocabularyKind::kSentencePiece) {
        sentences_ = std::make_unique<SentencePieceEncoder>(*vocabulary_);
    }
}

Tokenizer::~Tokenizer() = default;

void Tokenizer::merge(std::string_view piece) {
    merged_.clear();
    for (const Rank rank : encoder_.encode(piece)) merged_.push_back(vocabulary_->id(rank));
}

std::size_t Tokenizer::count_rare(std::string_view piece) {
    if (piece.size() > ShortPieceCache::kLongest) return count_long(piece);
    // It may have come twice among the pieces that were looked up together.
    if (const auto* entry = short_.find(ShortPieceCache::key_of(piece))) return entry->count();
    merge(piece);
    learn(piece);
    return merged_.size();
}

void Tokenizer::learn(std::string_view piece) {
    short_.put(ShortPieceCache::key_of(piece), merged_.data(), merged_.size());
    if (piece.size() <= TinyPieceCache::kLongest && merged_.size() <= TinyPieceCache::kIds) {
        tiny_.put(TinyPieceCache::key_of(piece), merged_.data(), merged_.size());
    }
}

std::size_t Tokenizer::count_long(std::string_view piece) {
    const std::uint64_t hash = checksum64(piece);
    if (piece.size() <= LongPieceCache::kLongest) {
        if (const auto* entry = long_.find(piece, hash)) return entry->count;
    }
    merge(piece);
    if (piece.size() <= LongPieceCache::kLongest) {
        long_.put(piece, hash, merged_.data(), merged_.size());
    }
    return merged_.size();
}

std::size_t Tokenizer::count_pieces(std::string_view text, std::size_t start,
                                    const std::uint32_t* ends, std::size_t pieces) {
    std::array<detail::Span, kBatch> missed;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    std::size_t misses = 0;
    std::size_t total =
        detail::kernel().count(tiny_, short_, {text, start, ends, pieces}, missed.data(), misses);
    for (std::size_t i = 0; i < misses; ++i) {
        total += count_rare(text.substr(missed[i].start, missed[i].length));
    }
    return total;
}

std::string_view Tokenizer::ordinary(std::string_view& text, TokenId& token) const {
    // All that begin with another byte are passed over by one search.
    std::size_t at = always_.empty() ? std::string_view::npos : text.find_first_of(first_bytes_);
    for (; at != std::string_view::npos; at = text.find_first_of(first_bytes_, at + 1)) {
        for (const SpecialToken& special : always_) {  // longest first
            if (!text.substr(at).starts_with(special.text)) continue;
            const std::string_view before = text.substr(0, at);
            text.remove_prefix(at + special.text.size());
            token = special.id;
            return before;
        }
    }
    const std::string_view rest = text;
    text = {};
    token = kNoToken;
    return rest;
}

std::size_t Tokenizer::count(std::string_view text) {
    if (always_.empty() && sentences_ == nullptr) return count_ordinary(text);
    if (sentences_ != nullptr) return encode(text).size();
    std::size_t total = 0;
    while (!text.empty()) {
        TokenId token = kNoToken;
        total += count_ordinary(ordinary(text, token));
        total += token != kNoToken ? 1 : 0;
    }
    return total;
}

std::size_t Tokenizer::count_ordinary(std::string_view text) {
    PieceScanner scanner(vocabulary_->grammar(), text);
    Ends ends;
    std::size_t total = 0;
    std::size_t start = 0;
    while (const std::size_t pieces = scanner.next(ends.data(), ends.size())) {
        total += count_pieces(text, start, ends.data(), pieces);
        start = ends[pieces - 1];
    }
    return total;
}

void Tokenizer::reserve(std::size_t more) {
    if (out_capacity_ - out_size_ >= more) return;
    const std::size_t capacity = std::max(out_capacity_ * 2, out_size_ + more);
    auto bigger = std::make_unique_for_overwrite<TokenId[]>(capacity);
    std::copy_n(out_.get(), out_size_, bigger.get());
    out_ = std::move(bigger);
    out_capacity_ = capacity;
}

void Tokenizer::emit(const TokenId* ids, std::size_t count) {
    reserve(count + kBatch * ShortPieceCache::kIds);
    std::copy_n(ids, count, out_.get() + out_size_);
    out_size_ += count;
}

void Tokenizer::encode_rare(std::string_view piece) {
    const std::uint64_t hash = checksum64(piece);
    const bool may_be_known = piece.size() <= LongPieceCache::kLongest;
    if (may_be_known) {
        if (const auto* entry = long_.find(piece, hash)) {
            emit(long_.ids(*entry), entry->count);
            return;
        }
    }
    merge(piece);
    emit(merged_.data(), merged_.size());
    if (piece.size() <= ShortPieceCache::kLongest && merged_.size() <= ShortPieceCache::kIds) {
        learn(piece);
    } else if (may_be_known) {
        long_.put(piece, hash, merged_.data(), merged_.size());
    }
}

void Tokenizer::encode_pieces(std::string_view text, std::size_t start, const std::uint32_t* ends,
                              std::size_t pieces) {
    const auto room = [this] {
        // kIds are written for each piece, then the place moves by those that count.
        reserve(kBatch * ShortPieceCache::kIds);
        return out_.get() + out_size_;
    };
    while (pieces > 0) {
        TokenId* out = room();
        const std::size_t done =
            detail::kernel().encode(tiny_, short_, {text, start, ends, pieces}, out);
        out_size_ = static_cast<std::size_t>(out - out_.get());
        if (done == pieces) return;
        if (done > 0) start = ends[done - 1];
        encode_rare(text.substr(start, ends[done] - start));
        start = ends[done];
        ends += done + 1;
        pieces -= done + 1;
    }
}

std::span<const TokenId> Tokenizer::encode(std::string_view text) {
    out_size_ = 0;
    if (always_.empty() && sentences_ == nullptr) {
        encode_ordinary(text);
        return {out_.get(), out_size_};
    }
    bool first = true;
    while (!text.empty()) {
        TokenId token = kNoToken;
        const std::string_view part = ordinary(text, token);
        if (sentences_ != nullptr) {
            merged_.clear();
            sentences_->encode(part, first, merged_);
            emit(merged_.data(), merged_.size());
        } else {
            encode_ordinary(part);
        }
        if (token != kNoToken) emit(&token, 1);
        first = false;
    }
    return {out_.get(), out_size_};
}

void Tokenizer::encode_ordinary(std::string_view text) {
    PieceScanner scanner(vocabulary_->grammar(), text);
    Ends ends;
    std::size_t start = 0;
    while (const std::size_t pieces = scanner.next(ends.data(), ends.size())) {
        encode_pieces(text, start, ends.data(), pieces);
        start = ends[pieces - 1];
    }
}

Tokenizer::Limited Tokenizer::count_until(std::string_view text, std::size_t limit) {
    Limited out;
    if (sentences_ != nullptr) {
        // The whole text is one piece: it fits or it does not.
        const std::size_t tokens = count(text);
        if (tokens <= limit) out = {tokens, text.size(), true};
        return out;
    }
    const char* const begin = text.data();
    const std::size_t size = text.size();
    while (!text.empty()) {
        TokenId token = kNoToken;
        const std::string_view part = ordinary(text, token);
        if (!count_part(part, limit, out)) return out;
        if (token != kNoToken) {
            if (out.tokens == limit) return out;
            ++out.tokens;
            out.bytes = text.empty() ? size : static_cast<std::size_t>(text.data() - begin);
        }
    }
    out.all = true;
    return out;
}

bool Tokenizer::count_part(std::string_view text, std::size_t limit, Limited& out) {
    PieceScanner scanner(vocabulary_->grammar(), text);
    Ends ends;
    const std::size_t before = out.bytes;
    std::size_t start = 0;
    // Small batches at first: the limit may be near.
    std::size_t batch = 128;
    while (const std::size_t pieces = scanner.next(ends.data(), batch)) {
        const std::size_t tokens = count_pieces(text, start, ends.data(), pieces);
        if (out.tokens + tokens > limit) {
            for (std::size_t i = 0; i < pieces; ++i) {
                const std::size_t one = count_pieces(text, start, &ends[i], 1);
                if (out.tokens + one > limit) return false;
                out.tokens += one;
                start = ends[i];
                out.bytes = before + start;
            }
        }
        out.tokens += tokens;
        start = ends[pieces - 1];
        out.bytes = before + start;
        batch = kBatch;
    }
    return true;
}

Tokenizer::Bounds Tokenizer::bounds(std::string_view text) const {
    if (sentences_ != nullptr) {
        // A token is at most so long; a space may be put before and takes three bytes.
        const std::size_t longest = vocabulary_->longest_token();
        return {(text.size() + longest - 1) / longest, text.empty() ? 0 : text.size() + 3};
    }
    PieceScanner scanner(vocabulary_->grammar(), text);
    Ends ends;
    Bounds out;
    std::size_t start = 0;
    while (const std::size_t pieces = scanner.next(ends.data(), ends.size())) {
        for (std::size_t i = 0; i < pieces; ++i) {
            const std::size_t length = ends[i] - start;
            const std::string_view piece = text.substr(start, length);
            std::size_t known = 0;
            if (length <= ShortPieceCache::kLongest) {
                const auto* entry = short_.find(ShortPieceCache::key_of(piece));
                if (entry != nullptr) known = entry->count();
            }
            if (known == 0 && length <= vocabulary_->longest_token() &&
                vocabulary_->whole(piece) != kNoRank) {
                known = 1;
            }
            out.lower += known != 0 ? known : 1;
            out.upper += known != 0 ? known : length;
            start = ends[i];
        }
    }
    return out;
}

void Tokenizer::for_each_piece(
    std::string_view text,
    const std::function<void(std::string_view, std::span<const TokenId>)>& each) {
    if (sentences_ != nullptr) {
        // Its only piece is the text: give each token by itself, as far as their bytes tell.
        each(text, encode(text));
        return;
    }
    while (!text.empty()) {
        TokenId token = kNoToken;
        const char* const begin = text.data();
        const std::size_t size = text.size();
        const std::string_view part = ordinary(text, token);
        PieceScanner scanner(vocabulary_->grammar(), part);
        Ends ends;
        std::size_t start = 0;
        while (const std::size_t pieces = scanner.next(ends.data(), ends.size())) {
            for (std::size_t i = 0; i < pieces; ++i) {
                const std::string_view piece = part.substr(start, ends[i] - start);
                merge(piece);
                each(piece, merged_);
                start = ends[i];
            }
        }
        if (token != kNoToken) {
            const std::size_t used = size - text.size();
            each({begin + part.size(), used - part.size()}, {&token, 1});
        }
    }
}

}  // namespace leeway::tokens
