#include "methods/agent_cache/semantic/question.hpp"

#include "base/hash.hpp"
#include "methods/agent_cache/semantic/lexicon.hpp"
#include "methods/agent_cache/semantic/words.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace leeway::agent_cache::semantic {
namespace {

std::uint32_t hash_of(std::string_view text) noexcept {
    return static_cast<std::uint32_t>(checksum64(text) >> 32U);
}

template <class T>
void make_set(std::vector<T>& values) {
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    values.shrink_to_fit();
}

constexpr std::size_t kTrigramBytes = 512;

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) noexcept {
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// A number's spelling without what does not change its value; `suffix` is what follows its digits.
std::string canonical_number(std::string_view word, std::string_view& suffix) {
    std::size_t end = 0;
    while (end < word.size() &&
           ((word[end] >= '0' && word[end] <= '9') || word[end] == '.' || word[end] == ':')) {
        ++end;
    }
    suffix = word.substr(end);
    std::string digits(word.substr(0, end));
    if (digits.find(':') != std::string::npos || digits.size() > 15 ||
        std::count(digits.begin(), digits.end(), '.') > 1) {
        return digits;  // a time, a version, an identifier: as spelled
    }
    double value = std::strtod(digits.c_str(), nullptr);
    const double scale = suffix == "k"                     ? 1e3
                         : suffix == "m" || suffix == "mn" ? 1e6
                         : suffix == "bn"                  ? 1e9
                                                           : 0;
    if (scale > 0) {
        value *= scale;
        suffix = {};
    }
    char out[40];
    std::snprintf(out, sizeof out, "%.15g", value);
    return out;
}

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text), list_(split_words(text)) {}

    Question read() {
        const std::span<const Word> words = list_.words;
        out_.scripts = list_.scripts;
        out_.words = static_cast<std::uint32_t>(words.size());
        // Titles Written So, and SHOUTING, have capitals that name nothing.
        const auto capitals =
            std::count_if(words.begin(), words.end(), [](const Word& w) { return w.capital; });
        capitals_name_ = 2 * capitals <= static_cast<std::ptrdiff_t>(words.size()) || capitals <= 2;
        std::string all;
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (words[i].negative) all += '-';
            all += words[i].lower;
            if (words[i].currency != 0) all += words[i].currency;
            if (words[i].percent) all += '%';
            all += ' ';
            take(i);
        }
        out_.text = checksum64(all);
        trigrams(all);
        out_.type = type();
        out_.needs_context = asks_on();
        out_.content = out_.stems;
        make_set(out_.content);
        make_set(out_.units);
        make_set(out_.dates);
        make_set(out_.entities);
        make_set(out_.opposites);
        make_set(out_.directions);
        std::sort(out_.quantities.begin(), out_.quantities.end());
        return std::move(out_);
    }

private:
    [[nodiscard]] std::string_view at(std::size_t i) const noexcept {
        return i < list_.words.size() ? std::string_view(list_.words[i].lower) : std::string_view();
    }

    void take(std::size_t i) {
        const Word& word = list_.words[i];
        const std::string_view lower = word.lower;
        if (is_negation(lower)) ++out_.negations;
        const int change = change_of(lower);
        out_.volatility = std::max(out_.volatility, static_cast<Volatility>(change));
        if (lower == "time" && i > 0 && one_of(at(i - 1), {"what", "the", "current"}) &&
            (one_of(at(i + 1), {"is", "in", "now", ""}))) {
            out_.volatility = Volatility::kNow;
        }
        if (const Sides sides = opposite_sides(lower); sides.first != 0) {
            out_.opposites.push_back(sides.first);
            if (sides.second != 0) out_.opposites.push_back(sides.second);
        }
        date(i);
        if (word.number) {
            number(i);
            return;
        }
        if (const std::string_view value = number_word(lower); !value.empty()) {
            quantity(value, unit_name(at(i + 1)));
        }
        if (const std::string_view unit = unit_name(lower); !unit.empty()) {
            out_.units.push_back(hash_of(unit));
        }
        content(i);
    }

    void content(std::size_t i) {
        const Word& word = list_.words[i];
        const bool named = capitals_name_ && word.capital && !word.starts_sentence &&
                           word.lower != "i" && !word.lower.starts_with("i'") &&
                           !one_of(word.lower, {"im", "ive", "ill", "id"});
        const bool code = word.digits;
        if (is_function_word(word.lower) && !word.quoted) return;
        const std::string_view unit = unit_name(word.lower);
        const auto day = date_word(word.lower);
        const bool dated = day && !day->ambiguous;
        const std::string stem = !unit.empty() ? std::string(unit)
                                 : dated       ? "date " + std::to_string(day->id)
                                               : stem_of(word.lower);
        const std::uint32_t hash = hash_of(stem);
        if (!dated && (named || code || word.quoted || (word.all_capitals && capitals_name_))) {
            out_.entities.push_back(hash);
        }
        out_.stems.push_back(hash);
        for (std::size_t back = i; back-- > 0;) {  // over articles to what governs the word
            const std::string_view before = at(back);
            if (is_direction(before)) {
                out_.directions.push_back(hash_of(std::string(before) + ' ' + stem));
            }
            if (!one_of(before, {"the", "a", "an", "my", "our", "your"})) break;
        }
    }

    void number(std::size_t i) {
        const Word& word = list_.words[i];
        std::string_view suffix;
        std::string value = canonical_number(word.lower, suffix);
        if (word.negative) value.insert(value.begin(), '-');
        std::string_view unit;
        if (word.percent) {
            unit = "%";
        } else if (word.currency != 0) {
            switch (word.currency) {
                case 'u': unit = "usd"; break;
                case 'e': unit = "eur"; break;
                case 'g': unit = "gbp"; break;
                case 'i': unit = "inr"; break;
                default: unit = "jpy"; break;
            }
        } else if (!suffix.empty()) {
            unit = unit_name(suffix);
            if (unit.empty() && (suffix == "am" || suffix == "pm")) unit = suffix;
        } else {
            unit = unit_name(at(i + 1));
        }
        const bool ordinal = one_of(suffix, {"st", "nd", "rd", "th"});
        if (!suffix.empty() && unit.empty() && !ordinal) {  // 3d, 4g: a name
            out_.entities.push_back(hash_of(word.lower));
            out_.stems.push_back(hash_of(word.lower));
            return;
        }
        quantity(value, unit);
        if (!unit.empty()) out_.units.push_back(hash_of(unit));
        out_.stems.push_back(hash_of(value));
    }

    void quantity(std::string_view value, std::string_view unit) {
        out_.quantities.push_back({hash_of(value), unit.empty() ? 0 : hash_of(unit)});
    }

    void date(std::size_t i) {
        const auto found = date_word(at(i));
        if (found && found->ambiguous) {
            // "may", "march", "am", "fall", "spring": only where a date can stand
            const bool near_number = (i > 0 && list_.words[i - 1].number) ||
                                     (i + 1 < list_.words.size() && list_.words[i + 1].number);
            const bool after_in = i > 0 && one_of(at(i - 1), {"in", "of", "by", "since", "until",
                                                              "last", "next", "this", "the"});
            if (!near_number && !(after_in && at(i) != "am")) return;
        }
        if (found) out_.dates.push_back(found->id);
        if (one_of(at(i), {"next", "last", "this", "previous", "coming"}) &&
            one_of(at(i + 1), {"week", "month", "year", "weekend", "quarter", "monday", "tuesday",
                               "wednesday", "thursday", "friday", "saturday", "sunday"})) {
            constexpr std::uint16_t kRelative = 100;
            const std::uint16_t way = at(i) == "next" || at(i) == "coming" ? 1
                                      : at(i) == "this"                    ? 2
                                                                           : 3;
            out_.dates.push_back(static_cast<std::uint16_t>(kRelative + way));
        }
    }

    void trigrams(std::string_view all) {
        const std::string_view part = all.substr(0, kTrigramBytes);
        for (std::size_t i = 0; i + 3 <= part.size(); ++i) {
            const std::uint32_t hash = static_cast<unsigned char>(part[i]) * 0x9E3779B1U ^
                                       static_cast<unsigned char>(part[i + 1]) * 0x85EBCA77U ^
                                       static_cast<unsigned char>(part[i + 2]) * 0xC2B2AE3DU;
            const std::uint32_t bit = hash >> 24U;
            out_.trigrams[bit >> 6U] |= std::uint64_t{1} << (bit & 63U);
        }
    }

    [[nodiscard]] QuestionType type() const noexcept {
        // Past a greeting or "and" to the word that asks.
        const std::size_t most = std::min<std::size_t>(list_.words.size(), 8);
        for (std::size_t i = 0; i < most; ++i) {
            const std::string_view word = at(i);
            const std::string_view next = at(i + 1);
            if (word == "how") {
                return one_of(next, {"many", "much", "long", "far", "often", "old", "big", "tall"})
                           ? QuestionType::kHowMany
                           : QuestionType::kHow;
            }
            if (word == "what" || word == "which") {
                if (one_of(next, {"time", "date", "day", "year", "month"}))
                    return QuestionType::kWhen;
                if (one_of(next, {"place", "city", "country", "location"}))
                    return QuestionType::kWhere;
                return QuestionType::kWhat;
            }
            if (word == "who" || word == "whom" || word == "whose") return QuestionType::kWho;
            if (word == "when") return QuestionType::kWhen;
            if (word == "where") return QuestionType::kWhere;
            if (word == "why") return QuestionType::kWhy;
            if (i == 0 ||
                (i == 1 && one_of(at(0), {"and", "but", "so", "hi", "hello", "please"}))) {
                if (one_of(word, {"is", "are", "was", "were", "do", "does", "did", "can", "could",
                                  "will", "would", "should", "has", "have", "had", "am", "may"})) {
                    return QuestionType::kYesNo;
                }
                if (one_of(word, {"tell",     "give", "show", "write",     "explain",
                                  "describe", "list", "make", "create",    "find",
                                  "set",      "book", "play", "translate", "summarize",
                                  "change",   "turn", "add",  "remove",    "call"})) {
                    return QuestionType::kCommand;
                }
            }
        }
        return QuestionType::kStatement;
    }

    /// The rule of `needs_context`, before `content` is made a set.
    [[nodiscard]] bool asks_on() const {
        const std::vector<Word>& words = list_.words;
        if (words.empty()) return true;
        if (continues(at(0)) && words.size() > 1) return true;
        if (one_of(at(0), {"what", "how"}) && at(1) == "about") return true;
        if (one_of(at(0), {"why", "how"}) && one_of(at(1), {"not", "so", "come"})) return true;
        if (std::any_of(words.begin(), words.end(),
                        [](const Word& w) {
                            return one_of(w.lower,
                                          {"more", "further", "different", "kind", "type"});
                        }) &&
            out_.stems.size() < 4) {
            return true;
        }
        std::vector<std::uint32_t> distinct = out_.stems;
        make_set(distinct);
        // "What are the symptoms of the disease?": which? A name says it, or many words do.
        const bool definite =
            std::any_of(words.begin(), words.end(), [](const Word& w) { return w.lower == "the"; });
        const std::size_t enough = definite ? 5 : 4;
        if (out_.entities.empty() && distinct.size() < enough) return true;
        return std::any_of(words.begin(), words.end(),
                           [](const Word& w) { return is_pronoun(w.lower); });
    }

    std::string_view text_;
    WordList list_;
    Question out_;
    bool capitals_name_ = true;
};

}  // namespace

Question read_question(std::string_view text) { return Reader(text).read(); }

bool needs_context(std::string_view text) { return read_question(text).needs_context; }

std::optional<std::chrono::seconds> longest_life(Volatility volatility) noexcept {
    switch (volatility) {
        case Volatility::kStable: return std::nullopt;
        case Volatility::kSlow: return std::chrono::hours(24);
        case Volatility::kFast: return std::chrono::minutes(10);
        case Volatility::kNow: return std::chrono::seconds(0);
    }
    return std::chrono::seconds(0);
}

}  // namespace leeway::agent_cache::semantic
