#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::router {

/// BM25 (Robertson & Zaragoza 2009) over short texts, as a share: the score of a text against an utterance, divided by
/// what the text would score if each of its words stood in it once, with an average length. From 0, no word in common,
/// to about 1, so that it can be mixed with a cosine. Immutable after building, any thread may ask.
class Bm25 {
public:
    Bm25() = default;
    /// `k1` ≥ 0: how soon repeating a word is of no use; `b` from 0 to 1: how much a long utterance counts less.
    Bm25(std::span<const std::string> utterances, double k1, double b);

    /// Fills `shares`, one per utterance.
    void score(std::string_view text, std::span<float> shares) const;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }

private:
    struct Posting {
        std::uint32_t utterance = 0;
        float weight = 0;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Word {
        float rarity = 0;  ///< its inverse document frequency
        std::uint32_t first = 0;  ///< its postings
        std::uint32_t count = 0;
    };

    std::size_t count_ = 0;
    float unknown_ = 0;  ///< the rarity of a word that no utterance has
    std::unordered_map<std::string, Word, Hash, std::equal_to<>> words_;
    std::vector<Posting> postings_;
};

}  // namespace leeway::router
