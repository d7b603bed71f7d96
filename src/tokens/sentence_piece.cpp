#include "tokens/sentence_piece.hpp"

#include "tokens/unicode.hpp"

#include <algorithm>

namespace leeway::tokens {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

}  // namespace

void SentencePieceEncoder::look_at(std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) return;
    const Symbol& a = symbols_[static_cast<std::size_t>(left)];
    const Symbol& b = symbols_[static_cast<std::size_t>(right)];
    ++steps_;
    const std::size_t length = std::size_t{a.length} + b.length;
    if (length > vocabulary_.longest_token()) return;
    const Rank rank = vocabulary_.whole(std::string_view(text_).substr(a.start, length));
    if (rank == kNoRank) return;
    heap_.push_back({vocabulary_.score(rank), static_cast<std::uint32_t>(left),
                     static_cast<std::uint32_t>(right), static_cast<std::uint32_t>(length)});
    std::push_heap(heap_.begin(), heap_.end(), [](const Pair& x, const Pair& y) {
        return x.score < y.score || (x.score == y.score && x.left > y.left);
    });
}

void SentencePieceEncoder::encode(std::string_view text, bool first, std::vector<TokenId>& out) {
    if (text.empty()) return;
    text_.clear();
    if (first && vocabulary_.has(kSpaceBefore)) text_ += kSpace;
    for (const char c : text) {
        if (c == ' ') {
            text_ += kSpace;
        } else {
            text_.push_back(c);
        }
    }
    symbols_.clear();
    const auto* const begin = reinterpret_cast<const unsigned char*>(text_.data());
    const auto* const end = begin + text_.size();
    for (const auto* at = begin; at < end;) {
        const std::uint32_t length = char_at(at, end).length;
        const auto index = static_cast<std::int32_t>(symbols_.size());
        const bool last = at + length == end;
        symbols_.push_back(
            {static_cast<std::uint32_t>(at - begin), length, index - 1, last ? -1 : index + 1});
        at += length;
    }
    heap_.clear();
    for (std::size_t i = 1; i < symbols_.size(); ++i) {
        look_at(static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i));
    }
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), [](const Pair& x, const Pair& y) {
            return x.score < y.score || (x.score == y.score && x.left > y.left);
        });
        const Pair best = heap_.back();
        heap_.pop_back();
        Symbol& left = symbols_[best.left];
        Symbol& right = symbols_[best.right];
        if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) {
            continue;  // one of them has merged with another since
        }
        left.length = best.length;
        right.length = 0;
        left.next = right.next;
        if (right.next >= 0) {
            symbols_[static_cast<std::size_t>(right.next)].previous =
                static_cast<std::int32_t>(best.left);
        }
        look_at(left.previous, static_cast<std::int32_t>(best.left));
        look_at(static_cast<std::int32_t>(best.left), left.next);
    }
    for (std::int32_t at = 0; at >= 0; at = symbols_[static_cast<std::size_t>(at)].next) {
        const Symbol& symbol = symbols_[static_cast<std::size_t>(at)];
        const std::string_view piece = std::string_view(text_).substr(symbol.start, symbol.length);
        if (const Rank rank = vocabulary_.whole(piece); rank != kNoRank) {
            out.push_back(vocabulary_.id(rank));
            continue;
        }
        for (const char byte : piece) {
            out.push_back(vocabulary_.id(vocabulary_.byte_rank(static_cast<unsigned char>(byte))));
        }
    }
}

}  // namespace leeway::tokens
