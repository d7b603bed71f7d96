#pragma once

#include "base/result.hpp"
#include "tokens/grammar.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::tokens {

/// The id of a token as its model knows it.
using TokenId = std::uint32_t;
/// The number of a token inside a vocabulary: the 256 bytes first, then in the order in which byte pairs
/// merge (a lower number merges first), then what only a whole piece can be.
using Rank = std::uint32_t;
inline constexpr Rank kNoRank = 0x1FFFFFU;  ///< also the limit: ranks are 21 bits wide
inline constexpr TokenId kNoToken = 0xFFFFFFFFU;

enum class VocabularyKind : std::uint32_t {
    kBytePairs = 1,  ///< byte-level BPE
    kSentencePiece = 2,  ///< SentencePiece BPE with scores: see SentencePieceModel
};

/// The part of a vocabulary file before its sections. Little endian, as is all of the file.
struct VocabularyHeader {
    static constexpr std::array<char, 8> kMagic{'L', 'W', 'V', 'O', 'C', 'A', 'B', '\n'};
    /// Raise it with every change of the format or of the meaning of a section.
    static constexpr std::uint32_t kVersion = 1;
    enum Section : std::uint32_t {
        kByteRanks,  ///< Rank[256]
        kIds,  ///< TokenId[tokens]
        kOffsets,  ///< uint32[tokens + 1] into kBytes
        kBytes,  ///< the tokens one after another
        kSplits,  ///< {Rank left, Rank right}[tokens]; itself twice where nothing merges into it
        kPairs,  ///< uint64[2^k]: left << 42 | right << 21 | merged; all ones: empty
        kPieces,  ///< Rank[2^k] by hash of bytes; kNoRank: empty
        kSpecials,  ///< {TokenId, uint32 length, bytes padded to 4}…
        kScores,  ///< float[tokens], SentencePiece only
        kSections,
    };
    std::array<char, 8> magic = kMagic;
    std::uint32_t version = kVersion;
    VocabularyKind kind = VocabularyKind::kBytePairs;
    std::uint64_t checksum = 0;  ///< XXH3 of all behind the header
    std::uint64_t file_bytes = 0;
    Grammar grammar = Grammar::kNone;
    std::uint32_t tokens = 0;
    std::uint32_t specials = 0;
    std::uint32_t longest = 0;  ///< bytes of the longest token
    std::uint32_t flags = 0;  ///< VocabularyFlag
    std::uint32_t unknown = kNoRank;  ///< SentencePiece: the token for what has none
    std::array<char, 32> name{};
    struct Place {
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;
    };
    std::array<Place, kSections> sections{};
};

/// Facts about a vocabulary, one bit each.
enum VocabularyFlag : std::uint32_t {
    kSpaceBefore = 1,  ///< SentencePiece: a space is put before every text
    kComposes = 2,  ///< text is brought into Unicode's form NFC first; we do not, see `needs_nfc`
};

struct SpecialToken {
    std::string text;
    TokenId id = kNoToken;
    bool always =
        false;  ///< cut out of any text, as HuggingFace does with added tokens that are not special
};

/// A tokenizer's tables, read-only and shareable between threads. They lie in a mapped file or in memory
/// and are checked once, when they are opened.
class Vocabulary {
public:
    /// Maps a file that `write_vocabulary` or the set-up step made. Fails with `kConfig` when it is
    /// missing, of another version, cut, or has a wrong checksum; with `kNotFound` when there is none.
    [[nodiscard]] static Result<std::shared_ptr<const Vocabulary>> map(const std::string& path);
    /// Takes an image from `build_vocabulary`.
    [[nodiscard]] static Result<std::shared_ptr<const Vocabulary>> adopt(std::string image);

    ~Vocabulary();
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    [[nodiscard]] std::string_view name() const noexcept { return name_; }
    [[nodiscard]] Grammar grammar() const noexcept { return header().grammar; }
    [[nodiscard]] VocabularyKind kind() const noexcept { return header().kind; }
    [[nodiscard]] std::size_t size() const noexcept { return header().tokens; }
    [[nodiscard]] bool has(VocabularyFlag flag) const noexcept {
        return (header().flags & flag) != 0;
    }
    [[nodiscard]] Rank unknown() const noexcept { return header().unknown; }
    [[nodiscard]] std::size_t longest_token() const noexcept { return header().longest; }
    /// Differs between vocabularies: the checksum of the file.
    [[nodiscard]] std::uint64_t fingerprint() const noexcept { return header().checksum; }
    /// The whole file image.
    [[nodiscard]] std::string_view image() const noexcept { return image_; }

    [[nodiscard]] Rank byte_rank(unsigned char byte) const noexcept { return byte_ranks_[byte]; }
    [[nodiscard]] TokenId id(Rank rank) const noexcept { return ids_[rank]; }
    [[nodiscard]] std::string_view bytes(Rank rank) const noexcept {
        return {bytes_ + offsets_[rank], offsets_[rank + 1] - offsets_[rank]};
    }
    /// What `left` and `right` merge into, or kNoRank.
    [[nodiscard]] Rank merged(Rank left, Rank right) const noexcept {
        const std::uint64_t key = std::uint64_t{left} << 21U | right;
        for (std::size_t slot = pair_slot(key);; slot = (slot + 1) & pair_mask_) {
            const std::uint64_t entry = pairs_[slot];
            if (entry >> 21U == key) return static_cast<Rank>(entry & kNoRank);
            if (entry == ~std::uint64_t{0}) return kNoRank;
        }
    }
    struct Split {
        Rank left;
        Rank right;
    };
    /// What merged into `rank`; twice itself for a byte and for what only a whole piece can be.
    [[nodiscard]] Split split(Rank rank) const noexcept { return splits_[rank]; }
    /// The token that is exactly `piece`, or kNoRank. `piece` must not be empty.
    [[nodiscard]] Rank whole(std::string_view piece) const noexcept {
        for (std::size_t slot = hash_bytes(piece) & piece_mask_;; slot = (slot + 1) & piece_mask_) {
            const Rank rank = pieces_[slot];
            if (rank == kNoRank || bytes(rank) == piece) return rank;
        }
    }
    [[nodiscard]] float score(Rank rank) const noexcept { return scores_[rank]; }
    [[nodiscard]] const std::vector<SpecialToken>& specials() const noexcept { return specials_; }
    /// The bytes of a token by its model's id, special tokens included; empty when there is none.
    /// Takes a search through all ids on its first call.
    [[nodiscard]] std::string_view token_bytes(TokenId id) const;

    /// How the tables place their entries; the builder uses the same.
    [[nodiscard]] static std::size_t hash_bytes(std::string_view bytes) noexcept;
    [[nodiscard]] static std::size_t hash_pair(std::uint64_t key) noexcept {
        return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15U >> 32U);
    }

private:
    Vocabulary() = default;
    [[nodiscard]] Result<void> open(std::string_view image, const std::string& where);
    [[nodiscard]] Result<void> check_tables(const std::string& where) const;
    [[nodiscard]] const VocabularyHeader& header() const noexcept {
        return *reinterpret_cast<const VocabularyHeader*>(image_.data());
    }
    [[nodiscard]] std::size_t pair_slot(std::uint64_t key) const noexcept {
        return hash_pair(key) & pair_mask_;
    }

    std::string_view image_;
    std::string owned_;
    void* mapping_ = nullptr;
    std::size_t mapped_bytes_ = 0;

    std::string_view name_;
    const Rank* byte_ranks_ = nullptr;
    const TokenId* ids_ = nullptr;
    const std::uint32_t* offsets_ = nullptr;
    const char* bytes_ = nullptr;
    const Split* splits_ = nullptr;
    const std::uint64_t* pairs_ = nullptr;
    std::size_t pair_mask_ = 0;
    const Rank* pieces_ = nullptr;
    std::size_t piece_mask_ = 0;
    const float* scores_ = nullptr;
    std::vector<SpecialToken> specials_;
};

}  // namespace leeway::tokens
