#include "tokens/bpe.hpp"

#include <algorithm>
#include <array>
#include <functional>

namespace leeway::tokens {
namespace {

// Up to here a linear search for the first merge beats a heap.
constexpr std::size_t kShort = 64;
constexpr std::uint32_t kEnd = 0xFFFFFFFFU;

}  // namespace

const std::vector<Rank>& BytePairEncoder::encode(std::string_view piece) {
    out_.clear();
    if (piece.size() <= vocabulary_.longest_token()) {
        if (const Rank whole = vocabulary_.whole(piece); whole != kNoRank) {
            out_.push_back(whole);
            return out_;
        }
    }
    if (piece.size() <= kShort) {
        encode_short(piece);
    } else {
        encode_long(piece);
    }
    return out_;
}

void BytePairEncoder::encode_short(std::string_view piece) {
    // Cleared, these would cost as much as the work. NOLINTBEGIN(cppcoreguidelines-pro-type-member-init)
    std::array<Rank, kShort + 1> parts;
    std::array<Rank, kShort + 1> pairs;  // what part i and the next merge into
    // NOLINTEND(cppcoreguidelines-pro-type-member-init)
    std::size_t n = piece.size();
    for (std::size_t i = 0; i < n; ++i) {
        parts[i] = vocabulary_.byte_rank(static_cast<unsigned char>(piece[i]));
    }
    for (std::size_t i = 0; i + 1 < n; ++i) pairs[i] = merged(parts[i], parts[i + 1]);
    while (n > 1) {
        std::size_t best = 0;
        Rank lowest = pairs[0];
        for (std::size_t i = 1; i + 1 < n; ++i) {
            if (pairs[i] < lowest) {
                lowest = pairs[i];
                best = i;
            }
        }
        if (lowest == kNoRank) break;
        parts[best] = lowest;
        std::copy(parts.begin() + static_cast<std::ptrdiff_t>(best) + 2,
                  parts.begin() + static_cast<std::ptrdiff_t>(n),
                  parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
        std::copy(pairs.begin() + static_cast<std::ptrdiff_t>(best) + 2,
                  pairs.begin() + static_cast<std::ptrdiff_t>(n),
                  pairs.begin() + static_cast<std::ptrdiff_t>(best) + 1);
        --n;
        if (best + 1 < n) pairs[best] = merged(parts[best], parts[best + 1]);
        if (best > 0) pairs[best - 1] = merged(parts[best - 1], parts[best]);
    }
    out_.assign(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(n));
}

void BytePairEncoder::encode_long(std::string_view piece) {
    // A list of parts and a heap of (merged rank, place), lowest first: equal merges come from the left
    // because the place counts too. An entry is stale when its place no longer has that pair.
    const auto n = static_cast<std::uint32_t>(piece.size());
    nodes_.resize(n);
    heap_.clear();
    for (std::uint32_t i = 0; i < n; ++i) {
        nodes_[i] = {i - 1, i + 1, vocabulary_.byte_rank(static_cast<unsigned char>(piece[i])),
                     kNoRank};
    }
    nodes_[n - 1].next = kEnd;
    const auto later = std::greater<>();
    const auto look_at = [&](std::uint32_t at, bool push) {
        Node& node = nodes_[at];
        node.pair = node.next == kEnd ? kNoRank : merged(node.rank, nodes_[node.next].rank);
        if (node.pair == kNoRank) return;
        heap_.push_back(std::uint64_t{node.pair} << 32U | at);
        if (push) std::push_heap(heap_.begin(), heap_.end(), later);
    };
    for (std::uint32_t i = 0; i < n; ++i) look_at(i, false);
    std::make_heap(heap_.begin(), heap_.end(), later);
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const std::uint64_t top = heap_.back();
        heap_.pop_back();
        const auto at = static_cast<std::uint32_t>(top);
        Node& node = nodes_[at];
        if (node.pair != static_cast<Rank>(top >> 32U)) continue;
        node.rank = node.pair;
        Node& gone = nodes_[node.next];
        gone.pair = kNoRank;
        node.next = gone.next;
        if (node.next != kEnd) nodes_[node.next].previous = at;
        look_at(at, true);
        if (at != 0) look_at(node.previous, true);
    }
    for (std::uint32_t at = 0; at != kEnd; at = nodes_[at].next) out_.push_back(nodes_[at].rank);
}

}  // namespace leeway::tokens
