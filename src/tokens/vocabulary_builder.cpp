#include "tokens/vocabulary_builder.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <unordered_map>

namespace leeway::tokens {
namespace {

Error unusable(const VocabularySource& source, const std::string& why) {
    return {ErrorCode::kConfig, "vocabulary " + source.name + ": " + why, {}, {}, {}};
}

struct PairHash {
    std::size_t operator()(std::uint64_t key) const noexcept { return Vocabulary::hash_pair(key); }
};
struct Merge {
    std::uint32_t order;
    std::uint32_t token;
};

class Builder {
public:
    explicit Builder(const VocabularySource& source) : source_(source) {}

    Result<std::string> build();

private:
    struct Found {
        std::uint32_t left = 0;
        std::uint32_t right = 0;
        std::uint32_t order = 0;
        bool merges = false;
    };
    Result<void> index_tokens();
    Result<void> index_bytes_of_pieces();
    Result<void> index_merges();
    [[nodiscard]] const Merge* merge_of(std::uint32_t left, std::uint32_t right);
    /// Merges the token's bytes, the slow and obvious way, up to the last step.
    [[nodiscard]] Found last_merge(std::uint32_t token);
    void order_tokens(const std::vector<Found>& found);
    [[nodiscard]] std::string image(const std::vector<Found>& found) const;

    const VocabularySource& source_;
    std::unordered_map<std::string_view, std::uint32_t> by_bytes_;  ///< index in source_.tokens
    std::unordered_map<std::uint64_t, Merge, PairHash> merges_;  ///< by left << 32 | right
    Merge scratch_{};
    std::string joined_;
    std::array<std::uint32_t, 256> byte_tokens_{};
    std::uint32_t unknown_ = 0;
    std::vector<std::uint32_t> by_rank_;  ///< token of each rank
    std::vector<Rank> rank_of_;
};

Result<void> Builder::index_tokens() {
    const auto& tokens = source_.tokens;
    if (tokens.empty() || tokens.size() >= kNoRank)
        return fail(unusable(source_, "no or too many tokens"));
    by_bytes_.reserve(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].bytes.empty()) return fail(unusable(source_, "it has an empty token"));
        if (!by_bytes_.emplace(tokens[i].bytes, static_cast<std::uint32_t>(i)).second) {
            return fail(unusable(source_, "it has a token twice"));
        }
    }
    if (source_.kind == VocabularyKind::kSentencePiece) return index_bytes_of_pieces();
    for (unsigned byte = 0; byte < 256; ++byte) {
        const char text = static_cast<char>(byte);
        const auto found = by_bytes_.find(std::string_view(&text, 1));
        if (found == by_bytes_.end()) {
            return fail(unusable(source_, "byte " + std::to_string(byte) + " is no token"));
        }
        byte_tokens_[byte] = found->second;
    }
    return {};
}

Result<void> Builder::index_bytes_of_pieces() {
    std::unordered_map<TokenId, std::uint32_t> by_id;
    for (std::uint32_t i = 0; i < source_.tokens.size(); ++i)
        by_id.emplace(source_.tokens[i].id, i);
    const auto unknown = by_id.find(source_.unknown);
    if (unknown == by_id.end()) return fail(unusable(source_, "its unknown token is missing"));
    unknown_ = unknown->second;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const auto found = by_id.find(source_.byte_tokens[byte]);
        byte_tokens_[byte] = found == by_id.end() ? unknown_ : found->second;
    }
    return {};
}

Result<void> Builder::index_merges() {
    merges_.reserve(source_.merges.size());
    std::uint32_t order = 0;
    for (const auto& [left, right] : source_.merges) {
        joined_.assign(left).append(right);
        const auto a = by_bytes_.find(left);
        const auto b = by_bytes_.find(right);
        const auto both = by_bytes_.find(joined_);
        if (a == by_bytes_.end() || b == by_bytes_.end() || both == by_bytes_.end()) {
            return fail(
                unusable(source_, "merge " + std::to_string(order) + " is of what is no token"));
        }
        const std::uint64_t key = std::uint64_t{a->second} << 32U | b->second;
        merges_.emplace(key, Merge{order++, both->second});
    }
    return {};
}

const Merge* Builder::merge_of(std::uint32_t left, std::uint32_t right) {
    if (source_.ranked) {
        joined_.assign(source_.tokens[left].bytes).append(source_.tokens[right].bytes);
        const auto found = by_bytes_.find(joined_);
        if (found == by_bytes_.end()) return nullptr;
        scratch_ = {source_.tokens[found->second].id, found->second};
        return &scratch_;
    }
    const auto found = merges_.find(std::uint64_t{left} << 32U | right);
    return found == merges_.end() ? nullptr : &found->second;
}

Builder::Found Builder::last_merge(std::uint32_t token) {
    std::vector<std::uint32_t> parts;
    for (const char c : source_.tokens[token].bytes) {
        parts.push_back(byte_tokens_[static_cast<unsigned char>(c)]);
    }
    while (parts.size() > 1) {
        std::size_t best = parts.size();
        Merge chosen{0xFFFFFFFFU, 0};
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            const Merge* const merge = merge_of(parts[i], parts[i + 1]);
            if (merge != nullptr && merge->order < chosen.order) {
                chosen = *merge;
                best = i;
            }
        }
        if (best == parts.size()) return {};
        if (parts.size() == 2) return {parts[0], parts[1], chosen.order, true};
        parts[best] = chosen.token;
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    return {};
}

void Builder::order_tokens(const std::vector<Found>& found) {
    const auto& tokens = source_.tokens;
    by_rank_.resize(tokens.size());
    for (std::uint32_t i = 0; i < tokens.size(); ++i) by_rank_[i] = i;
    const auto place = [&](std::uint32_t token) -> std::pair<unsigned, std::uint64_t> {
        const bool is_byte =
            tokens[token].bytes.size() == 1 && source_.kind == VocabularyKind::kBytePairs;
        if (is_byte) return {0U, tokens[token].id};
        if (found[token].merges) return {1U, found[token].order};
        return {2U, tokens[token].id};
    };
    std::sort(by_rank_.begin(), by_rank_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return place(a) < place(b); });
    rank_of_.resize(tokens.size());
    for (std::uint32_t rank = 0; rank < by_rank_.size(); ++rank) rank_of_[by_rank_[rank]] = rank;
}

template <class T>
std::string_view as_bytes(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string Builder::image(const std::vector<Found>& found) const {
    using Header = VocabularyHeader;
    const std::size_t n = by_rank_.size();
    std::vector<Rank> byte_ranks(256);
    for (unsigned byte = 0; byte < 256; ++byte) byte_ranks[byte] = rank_of_[byte_tokens_[byte]];
    std::vector<TokenId> ids(n);
    std::vector<std::uint32_t> offsets{0};
    std::vector<Vocabulary::Split> splits(n);
    std::vector<float> scores;
    std::string bytes;
    // At most 40 % full: most searches are for pairs that are not there, and end at a gap.
    std::vector<std::uint64_t> pairs(std::bit_ceil(n * 5 / 2), ~std::uint64_t{0});
    std::vector<Rank> pieces(std::bit_ceil(n * 2), kNoRank);
    Header header;
    for (std::uint32_t rank = 0; rank < n; ++rank) {
        const std::uint32_t token = by_rank_[rank];
        const VocabularySource::Token& source = source_.tokens[token];
        ids[rank] = source.id;
        bytes += source.bytes;
        offsets.push_back(static_cast<std::uint32_t>(bytes.size()));
        header.longest = std::max(header.longest, static_cast<std::uint32_t>(source.bytes.size()));
        if (source_.kind == VocabularyKind::kSentencePiece) scores.push_back(source.score);
        splits[rank] = {rank, rank};
        const bool merges = found[token].merges;
        if (merges) {
            splits[rank] = {rank_of_[found[token].left], rank_of_[found[token].right]};
            const std::uint64_t key = std::uint64_t{splits[rank].left} << 21U | splits[rank].right;
            std::size_t slot = Vocabulary::hash_pair(key) & (pairs.size() - 1);
            while (pairs[slot] != ~std::uint64_t{0}) slot = (slot + 1) & (pairs.size() - 1);
            pairs[slot] = key << 21U | rank;
        }
        if (merges || source.bytes.size() == 1 || source_.whole_pieces ||
            source_.kind == VocabularyKind::kSentencePiece) {
            std::size_t slot = Vocabulary::hash_bytes(source.bytes) & (pieces.size() - 1);
            while (pieces[slot] != kNoRank) slot = (slot + 1) & (pieces.size() - 1);
            pieces[slot] = rank;
        }
    }
    std::string specials;
    for (const SpecialToken& special : source_.specials) {
        const std::uint32_t flag = special.always ? 1U << 31U : 0U;
        const std::vector<std::uint32_t> head{
            special.id, static_cast<std::uint32_t>(special.text.size()) | flag};
        specials.append(as_bytes(head)).append(special.text);
        specials.resize((specials.size() + 3) / 4 * 4);
    }
    const std::array<std::string_view, Header::kSections> parts{
        as_bytes(byte_ranks), as_bytes(ids),   as_bytes(offsets), bytes,
        as_bytes(splits),     as_bytes(pairs), as_bytes(pieces),  specials,
        as_bytes(scores)};

    std::string out(sizeof(Header), '\0');
    for (std::size_t i = 0; i < parts.size(); ++i) {
        out.resize((out.size() + 63) / 64 * 64);  // a table begins on a cache line
        header.sections[i] = {out.size(), parts[i].size()};
        out.append(parts[i]);
    }
    header.kind = source_.kind;
    header.grammar = source_.grammar;
    header.tokens = static_cast<std::uint32_t>(n);
    header.specials = static_cast<std::uint32_t>(source_.specials.size());
    header.flags = source_.flags;
    if (source_.kind == VocabularyKind::kSentencePiece) header.unknown = rank_of_[unknown_];
    header.file_bytes = out.size();
    std::memcpy(header.name.data(), source_.name.data(),
                std::min(source_.name.size(), header.name.size() - 1));
    header.checksum = checksum64(std::string_view(out).substr(sizeof(Header)));
    std::memcpy(out.data(), &header, sizeof header);
    return out;
}

Result<std::string> Builder::build() {
    if (auto done = index_tokens(); !done) return fail(std::move(done.error()));
    if (auto done = index_merges(); !done) return fail(std::move(done.error()));
    std::vector<Found> found(source_.tokens.size());
    if (source_.kind == VocabularyKind::kBytePairs) {
        for (std::uint32_t i = 0; i < found.size(); ++i) {
            if (source_.tokens[i].bytes.size() > 1) found[i] = last_merge(i);
        }
    }
    order_tokens(found);
    return image(found);
}

}  // namespace

Result<std::string> build_vocabulary(const VocabularySource& source) {
    return Builder(source).build();
}

}  // namespace leeway::tokens
