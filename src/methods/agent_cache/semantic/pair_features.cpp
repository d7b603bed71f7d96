#include "methods/agent_cache/semantic/pair_features.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <vector>

namespace leeway::agent_cache::semantic {
namespace {

template <class T>
std::size_t shared(const std::vector<T>& a, const std::vector<T>& b) noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
        if (a[i] == b[j]) {
            ++count, ++i, ++j;
        } else if (a[i] < b[j]) {
            ++i;
        } else {
            ++j;
        }
    }
    return count;
}

template <class T>
bool contains(const std::vector<T>& sorted, T value) noexcept {
    return std::binary_search(sorted.begin(), sorted.end(), value);
}

/// One says one side of an antonym pair, the other the other side, and neither says both.
bool oppose(const Question& a, const Question& b) noexcept {
    for (const std::uint16_t side : a.opposites) {
        const auto other = static_cast<std::uint16_t>(side ^ 1U);
        if (contains(b.opposites, other) && !contains(a.opposites, other) &&
            !contains(b.opposites, side)) {
            return true;
        }
    }
    return false;
}

bool tells_apart(QuestionType type) noexcept {
    return type == QuestionType::kWho || type == QuestionType::kWhen ||
           type == QuestionType::kWhere || type == QuestionType::kWhy ||
           type == QuestionType::kHowMany;
}

/// Numbers without their units.
std::vector<std::uint32_t> values(const Question& q) {
    std::vector<std::uint32_t> out;
    out.reserve(q.quantities.size());
    for (const Quantity& quantity : q.quantities) out.push_back(quantity.value);
    return out;
}

Veto number_veto(const Question& a, const Question& b) {
    if (a.quantities != b.quantities) {
        if (a.quantities.empty() != b.quantities.empty()) return Veto::kNumber;
        return values(a) == values(b) ? Veto::kUnit : Veto::kNumber;
    }
    if (a.units != b.units && !a.units.empty() && !b.units.empty()) return Veto::kUnit;
    return Veto::kNone;
}

/// A name of one that the other does not mention at all, in capitals or not.
bool other_entity(const Question& a, const Question& b) noexcept {
    const auto missing_in = [](const Question& other) {
        return [&other](std::uint32_t name) {
            return !contains(other.content, name);
        };
    };
    return std::any_of(a.entities.begin(), a.entities.end(), missing_in(b)) ||
           std::any_of(b.entities.begin(), b.entities.end(), missing_in(a));
}

}  // namespace

std::string_view veto_name(Veto veto) noexcept {
    switch (veto) {
        case Veto::kNone: return "none";
        case Veto::kEmpty: return "empty";
        case Veto::kNumber: return "number";
        case Veto::kUnit: return "unit";
        case Veto::kNegation: return "negation";
        case Veto::kEntity: return "entity";
        case Veto::kDate: return "date";
        case Veto::kOrder: return "order";
        case Veto::kOpposite: return "opposite";
        case Veto::kScript: return "script";
        case Veto::kType: return "type";
        case Veto::kWord: return "word";
    }
    return "none";
}

Veto veto_of(const Question& a, const Question& b) noexcept {
    if (a.words == 0 || b.words == 0) return Veto::kEmpty;
    if (a.text == b.text) return Veto::kNone;
    if (a.scripts != 0 && b.scripts != 0 && (a.scripts & b.scripts) == 0) return Veto::kScript;
    if (const Veto veto = number_veto(a, b); veto != Veto::kNone) return veto;
    if (a.dates != b.dates) return Veto::kDate;
    if (a.negations % 2 != b.negations % 2) return Veto::kNegation;
    if (oppose(a, b)) return Veto::kOpposite;
    if (a.type != b.type && tells_apart(a.type) && tells_apart(b.type)) return Veto::kType;
    if (other_entity(a, b)) return Veto::kEntity;
    const std::size_t common = shared(a.content, b.content);
    if (a.content.size() - common == 1 && b.content.size() - common == 1) return Veto::kWord;
    // The same words, but what comes from, to or after has changed places.
    if (common == a.content.size() && common == b.content.size()) {
        const std::size_t same = shared(a.directions, b.directions);
        if (same < a.directions.size() && same < b.directions.size()) return Veto::kOrder;
    }
    return Veto::kNone;
}

LexicalFeatures compare(const Question& a, const Question& b) noexcept {
    LexicalFeatures out;
    out.same_text = a.text == b.text;
    out.same_type = a.type == b.type;
    const std::size_t common = shared(a.content, b.content);
    const std::size_t all = a.content.size() + b.content.size() - common;
    const std::size_t least = std::min(a.content.size(), b.content.size());
    const auto ratio = [](std::size_t part, std::size_t whole, double without) {
        return whole == 0 ? without : static_cast<double>(part) / static_cast<double>(whole);
    };
    out.content_overlap = ratio(common, all, out.same_text ? 1 : 0);
    out.containment = ratio(common, least, out.same_text ? 1 : 0);
    out.unshared = static_cast<double>(all - common);
    out.length_ratio = ratio(std::min(a.words, b.words), std::max(a.words, b.words), 0);
    int both = 0;
    int either = 0;
    for (std::size_t i = 0; i < a.trigrams.size(); ++i) {
        both += std::popcount(a.trigrams[i] & b.trigrams[i]);
        either += std::popcount(a.trigrams[i] | b.trigrams[i]);
    }
    out.trigram_overlap = either == 0 ? 0 : static_cast<double>(both) / either;

    // Where the shared stems of `a` stand in `b`, in the order of `a`.
    std::ptrdiff_t before = -1;
    int pairs = 0;
    int rising = 0;
    for (const std::uint32_t stem : a.stems) {
        const auto found = std::find(b.stems.begin(), b.stems.end(), stem);
        if (found == b.stems.end()) continue;
        const std::ptrdiff_t at = found - b.stems.begin();
        if (before >= 0) {
            ++pairs;
            rising += at > before ? 1 : 0;
        }
        before = at;
    }
    out.order = pairs == 0 ? 1 : static_cast<double>(rising) / pairs;
    return out;
}

}  // namespace leeway::agent_cache::semantic
