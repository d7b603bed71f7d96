#include "methods/router/semantic/arguments/argument_candidates.hpp"

#include "json/write.hpp"
#include "methods/router/semantic/words.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace leeway::router {
namespace {

// Between a value and the word that tells what it is: "the number of passengers is 2".
constexpr std::size_t kReach = 2;
constexpr std::string_view kFillers =
    " the a an is are be about around of on at for my our in = will ";
constexpr std::string_view kNegations =
    " no not non without never dont doesnt isnt neither nor except avoid ";
constexpr std::size_t kNegationReach = 3;

/// Whether one of the property's words ends right before word `at`, fillers apart. A break between them parts them.
bool cue_before(const ArgumentProperty& property, const std::vector<TextWord>& words,
                std::size_t at) {
    for (std::size_t skipped = 0; skipped <= kReach; ++skipped) {
        const std::size_t end = at - skipped;
        if (end < words.size() && words[end].after_break) return false;
        for (const auto& cue : property.cues) {
            if (cue.size() <= end && phrase_at(words, end - cue.size(), cue)) return true;
        }
        if (end == 0 || !is_among(kFillers, words[end - 1].folded)) return false;
    }
    return false;
}

/// "2 adult passengers": right behind, or behind one word that is no number and no filler.
bool cue_behind(const ArgumentProperty& property, const std::vector<TextWord>& words,
                std::size_t at) {
    for (std::size_t skipped = 0; skipped <= 1; ++skipped) {
        const std::size_t begin = at + skipped;
        if (begin >= words.size() || words[begin].after_break) return false;
        for (const auto& cue : property.cues)
            if (phrase_at(words, begin, cue)) return true;
        const TextWord& between = words[begin];
        if (is_among(kFillers, between.folded) ||
            is_among(" and or to from with ", between.folded) ||
            (between.folded.front() >= '0' && between.folded.front() <= '9'))
            return false;
    }
    return false;
}

bool negated(const std::vector<TextWord>& words, std::size_t at) {
    for (std::size_t back = 1; back <= kNegationReach && back <= at; ++back) {
        if (words[at - back + 1].after_break) return false;
        if (is_among(kNegations, words[at - back].folded)) return true;
    }
    return false;
}

std::string number_json(double value, bool integer) {
    std::string out;
    if (integer) {
        json::append_int(out, static_cast<std::int64_t>(value));
    } else {
        json::append_double(out, value);
    }
    return out;
}

/// "for 2 tomorrow": nothing beside it says that it counts something else.
bool stands_alone(const ArgumentText& in, const FoundNumber& number, const Claims& claims) {
    constexpr std::string_view kBefore = " for of with to we are us book and ";
    constexpr std::string_view kBehind = " for on to from in at and with please by of ";
    const std::size_t at = word_at(in.words, number.span.begin);
    const std::size_t behind = word_at(in.words, number.span.end);
    const bool free_before =
        at == 0 || in.words[at].after_break || is_among(kBefore, in.words[at - 1].folded);
    if (!free_before) return false;
    if (behind >= in.words.size() || in.words[behind].after_break) return true;
    if (is_among(kBehind, in.words[behind].folded)) return true;
    return std::any_of(claims.begin(), claims.end(), [&](const Span& claim) {
        return claim.begin == in.words[behind].span.begin;
    });
}

}  // namespace

Candidates pattern_candidates(const ArgumentProperty& property, const ArgumentText& in) {
    Candidates out;
    const std::string_view text = in.text.substr(0, kMostWordBytes);
    const auto add = [&](std::size_t begin, std::size_t size) {
        const std::string_view value = text.substr(begin, size);
        if (!can_be_value(value)) return;
        const std::size_t at = word_at(in.words, begin);
        out.push_back({json::quoted(value),
                       {begin, begin + size},
                       cue_before(property, in.words, at),
                       true,
                       false});
    };
    if (property.pattern.starts_with('^') || property.pattern.ends_with('$')) {
        // Of all of a value, which is a word here.
        for (std::size_t begin = text.find_first_not_of(" \t\r\n");
             begin != std::string_view::npos && out.size() < kMostCandidates;) {
            const std::size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
            std::string_view word = text.substr(begin, end - begin);
            while (!word.empty() &&
                   std::string_view(".,;:!?)\"'").find(word.back()) != std::string_view::npos)
                word.remove_suffix(1);
            if (RE2::PartialMatch(re2::StringPiece(word.data(), word.size()), *property.regex))
                add(begin, word.size());
            begin = text.find_first_not_of(" \t\r\n", end);
        }
        return out;
    }
    const re2::StringPiece whole(text.data(), text.size());
    re2::StringPiece found;
    std::size_t from = 0;
    while (from < text.size() && out.size() < kMostCandidates &&
           property.regex->Match(whole, from, text.size(), RE2::UNANCHORED, &found, 1)) {
        const auto begin = static_cast<std::size_t>(found.data() - text.data());
        add(begin, found.size());
        from = begin + std::max<std::size_t>(found.size(), 1);
    }
    return out;
}

Candidates date_candidates(const ArgumentProperty& property, const ArgumentText& in) {
    Candidates out;
    for (const FoundDate& date : in.dates) {
        if (out.size() >= kMostCandidates) break;
        const std::size_t at = word_at(in.words, date.span.begin);
        out.push_back({json::quoted(iso_date(date.day)), date.span,
                       cue_before(property, in.words, at), true, date.unsure});
    }
    return out;
}

Candidates number_candidates(const ArgumentProperty& property, const ArgumentText& in,
                             const Claims& claims) {
    Candidates out;
    for (const FoundNumber& number : in.numbers) {
        if (out.size() >= kMostCandidates) break;
        double value = number.value;
        const std::size_t at = word_at(in.words, number.span.begin);
        const std::size_t behind = word_at(in.words, number.span.end);
        // A unit that the property does not have may be its word: "2 days" of `days`.
        bool named_unit = false;
        if (!number.unit.empty() && property.unit.empty()) {
            const std::vector<std::string> unit = words_of(number.unit);
            named_unit =
                std::find(property.cues.begin(), property.cues.end(), unit) != property.cues.end();
            if (!named_unit) continue;
        } else if (!number.unit.empty()) {
            const auto converted = convert(value, number.unit, property.unit);
            if (!converted) continue;
            value = *converted;
        }
        const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
        if (property.type == ArgumentType::kInteger && !whole) continue;
        if (!in_bounds(property, value)) continue;
        const bool cued = named_unit || cue_before(property, in.words, at) ||
                          (number.unit.empty() && cue_behind(property, in.words, behind));
        const bool has_unit = !number.unit.empty() && !named_unit;
        // "which one": a pronoun rather than a number.
        const bool one = number.spelled && number.value == 1;
        const bool alone = has_unit || (!one && stands_alone(in, number, claims));
        out.push_back({number_json(value, whole), number.span, cued, alone, number.unsure});
    }
    return out;
}

Candidates choice_candidates(const ArgumentProperty& property, const ArgumentText& in) {
    const std::vector<ArgumentPhrase>& phrases = property.phrases;
    Candidates out;
    for (std::size_t at = 0; at < in.words.size() && out.size() < kMostCandidates;) {
        const std::string& first = in.words[at].folded;
        auto found = std::lower_bound(phrases.begin(), phrases.end(), first,
                                      [](const ArgumentPhrase& one, const std::string& word) {
                                          return one.words.front() < word;
                                      });
        while (found != phrases.end() && found->words.front() == first &&
               !phrase_at(in.words, at, found->words))
            ++found;
        if (found == phrases.end() || found->words.front() != first) {
            ++at;
            continue;
        }
        const std::size_t last = at + found->words.size() - 1;
        // "not business" says what it is not.
        if (!negated(in.words, at)) {
            out.push_back({json::quoted(property.choices[found->choice].value),
                           {in.words[at].span.begin, in.words[last].span.end},
                           cue_before(property, in.words, at),
                           true,
                           false});
        }
        at = last + 1;
    }
    return out;
}

Candidates boolean_candidates(const ArgumentProperty& property, const ArgumentText& in) {
    Candidates out;
    for (std::size_t at = 0; at < in.words.size() && out.size() < kMostCandidates; ++at) {
        for (const auto& cue : property.cues) {
            if (!phrase_at(in.words, at, cue)) continue;
            const bool is_not = negated(in.words, at);
            out.push_back({is_not ? "false" : "true",
                           {in.words[at].span.begin, in.words[at + cue.size() - 1].span.end},
                           true,
                           true,
                           false});
            break;
        }
    }
    // An answer to a question before.
    if (in.words.size() == 1 && out.empty()) {
        const std::string_view word = in.words.front().folded;
        const bool yes = is_among(" yes true on sure yep ", word);
        if (yes || is_among(" no false off nope ", word))
            out.push_back({yes ? "true" : "false", in.words.front().span, false, true, false});
    }
    return out;
}

}  // namespace leeway::router
