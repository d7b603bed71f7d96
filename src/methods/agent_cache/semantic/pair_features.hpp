#pragma once

#include "methods/agent_cache/semantic/question.hpp"

#include <cstdint>
#include <string_view>

namespace leeway::agent_cache::semantic {

/// Why two questions must not share an answer however near their vectors are.
enum class Veto : std::uint8_t {
    kNone = 0,
    kEmpty = 1,     ///< one has no words
    kNumber = 2,    ///< another number
    kUnit = 3,      ///< the same number of something else
    kNegation = 4,  ///< one denies what the other says
    kEntity = 5,    ///< another name, code or quoted text
    kDate = 6,      ///< another day, month, year or time
    kOrder = 7,     ///< the same words with the ends swapped: "from A to B", "from B to A"
    kOpposite = 8,  ///< an antonym: increase and decrease
    kScript = 9,    ///< letters of another script
    kType = 10,     ///< one asks who, the other when, where, why or how many
    kWord =
        11,  ///< one content word for another, which may be a name in small letters; the rest is the same
};
[[nodiscard]] std::string_view veto_name(Veto veto) noexcept;

/// The first veto that holds between the two; symmetric.
[[nodiscard]] Veto veto_of(const Question& asked, const Question& kept) noexcept;

/// What the probability is computed from, besides the neighbours' cosines (hit_model.hpp).
struct LexicalFeatures {
    double content_overlap = 0;  ///< Jaccard of the content stems, 0 to 1
    double containment = 0;  ///< shared stems over those of the shorter question
    double trigram_overlap = 0;  ///< Jaccard of character trigrams, about
    double order = 0;  ///< share of neighbouring shared stems that stand in the same order
    double length_ratio = 0;  ///< words of the shorter over those of the longer
    double unshared = 0;  ///< content stems that only one of them has
    bool same_type = false;
    bool same_text = false;  ///< in all that counts
};
[[nodiscard]] LexicalFeatures compare(const Question& asked, const Question& kept) noexcept;

}  // namespace leeway::agent_cache::semantic
