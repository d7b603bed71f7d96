#include "json/write.hpp"
#include "methods/router/semantic/arguments/argument_candidates.hpp"
#include "methods/router/semantic/words.hpp"

#include <algorithm>
#include <array>

namespace leeway::router {
namespace {

constexpr std::size_t kMostCapitals = 6;  // words of a name
constexpr std::size_t kMostSmall = 2;  // words of one written without capitals

constexpr std::string_view kArticles = " the a an my our ";
// What ends a value. English.
constexpr std::string_view kStops =
    " to from in on at for by with without and or but via before after until next this that the a "
    "an today "
    "tonight tomorrow please thanks thank leaving departing arriving returning is are be was were "
    "do does can "
    "could would should will i we you it me us my our there here if when then so as than about "
    "into out near ";
constexpr std::string_view kIntroductions = " is are be called named equals ";
// What "to" stands before that is no place: "I want to fly".
constexpr std::string_view kNoBeginning =
    " of go fly travel get book be know see visit find buy take have make do come stay reserve "
    "send "
    "ask change "
    "cancel check look search need want order pay plan spend tell show help hear learn say use "
    "return leave "
    "arrive eat drink sleep drive sail walk rent ";
// Within a name when another capital follows.
constexpr std::string_view kWithin = " of de la le del di da do dos am an der van von upon on the ";

struct Quotes {
    std::string_view open;
    std::string_view close;
};
constexpr std::array kQuotes{Quotes{"\"", "\""}, Quotes{"'", "'"}, Quotes{"“", "”"},
                             Quotes{"„", "“"},   Quotes{"„", "”"}, Quotes{"«", "»"},
                             Quotes{"‘", "’"}};

class Reader {
public:
    Reader(const ArgumentSchema& schema, const ArgumentText& in, const Claims& claims)
        : schema_(schema), in_(in), claims_(claims) {}

    /// The value behind one of the property's words, which ends before word `at`. `weak`: that word stands in other texts
    /// too, so that only a name in capitals, a text in quotation marks, or what a colon or an "is" introduces is believed.
    [[nodiscard]] std::optional<ArgumentCandidate> read(std::size_t at, bool weak) const {
        bool introduced = false;
        while (at < size()) {
            introduced = introduced || between(at).find_first_of(":=") != std::string_view::npos;
            const TextWord& one = word(at);
            const bool is = is_among(kIntroductions, one.folded);
            if (one.after_break || one.capital || !(is || is_among(kArticles, one.folded))) break;
            introduced = introduced || is;
            ++at;
        }
        if (at >= size()) return std::nullopt;
        if (word(at).after_quote) return quoted(at);
        if (word(at).after_break || ends(at)) return std::nullopt;
        const bool capital = word(at).capital;
        if (!capital && ((weak && !introduced) || is_among(kNoBeginning, word(at).folded)))
            return std::nullopt;
        std::size_t end = at + 1;
        const std::size_t most = capital ? kMostCapitals : kMostSmall;
        // One more shows that it is too long.
        while (end < size() && end - at <= most && goes_on(end, capital)) ++end;
        if (end == at + 1 && is_calendar_word(word(at).folded)) return std::nullopt;
        ArgumentCandidate out = made({word(at).span.begin, word(end - 1).span.end});
        out.unsure = end - at > most;
        out.alone = capital;
        return out;
    }

private:
    [[nodiscard]] std::size_t size() const { return in_.words.size(); }
    [[nodiscard]] const TextWord& word(std::size_t at) const { return in_.words[at]; }

    /// What stands between word `at` and the one before.
    [[nodiscard]] std::string_view between(std::size_t at) const {
        const std::size_t begin = at == 0 ? 0 : word(at - 1).span.end;
        return in_.text.substr(begin, word(at).span.begin - begin);
    }
    /// "Berkeley, CA": a state or a country in two letters.
    [[nodiscard]] bool is_region(std::size_t at) const {
        const std::string_view text = word(at).span.of(in_.text);
        const auto upper = [](char c) {
            return c >= 'A' && c <= 'Z';
        };
        return between(at) == ", " && text.size() == 2 && upper(text[0]) && upper(text[1]) &&
               text != "OK";
    }
    [[nodiscard]] bool goes_on(std::size_t at, bool capital) const {
        if (claimed(at)) return false;
        if (capital && is_region(at)) return true;
        if (word(at).after_break || between(at).find_first_of(":=") != std::string_view::npos)
            return false;
        if (!capital) return !ends(at);
        if (word(at).capital) return true;
        return is_among(kWithin, word(at).folded) && at + 1 < size() && word(at + 1).capital &&
               !word(at + 1).after_break && !claimed(at + 1) && !begins_cue(at);
    }
    [[nodiscard]] bool claimed(std::size_t at) const {
        return std::any_of(claims_.begin(), claims_.end(),
                           [&](const Span& claim) { return claim.overlaps(word(at).span); });
    }
    [[nodiscard]] bool begins_cue(std::size_t at) const {
        for (const ArgumentProperty& property : schema_.properties)
            for (const auto& cue : property.cues)
                if (phrase_at(in_.words, at, cue)) return true;
        return false;
    }
    [[nodiscard]] bool ends(std::size_t at) const {
        if (claimed(at)) return true;
        // A name that begins with a capital may look like one of these words: "The Hague" does not.
        if (word(at).capital) return false;
        return is_among(kStops, word(at).folded) || begins_cue(at);
    }
    /// All that stands between the quotation marks.
    [[nodiscard]] std::optional<ArgumentCandidate> quoted(std::size_t at) const {
        const std::size_t begin = word(at).span.begin;
        const std::string_view before = in_.text.substr(0, begin);
        const std::string_view behind = in_.text.substr(begin, kMostArgumentBytes + 4);
        for (const auto& [open, close] : kQuotes) {
            if (!before.ends_with(open)) continue;
            for (std::size_t end = behind.find(close); end != std::string_view::npos;
                 end = behind.find(close, end + 1)) {
                // An apostrophe has a letter behind it.
                const std::size_t next = word_at(in_.words, begin + end);
                const bool within =
                    next < size() && word(next).span.begin == begin + end + close.size();
                if (within || word(next - 1).span.end > begin + end) continue;
                ArgumentCandidate out = made({begin, begin + end});
                out.alone = true;
                return out;
            }
        }
        return std::nullopt;
    }
    [[nodiscard]] ArgumentCandidate made(Span span) const {
        ArgumentCandidate out;
        out.span = span;
        out.json = json::quoted(span.of(in_.text));
        out.cued = true;
        return out;
    }

    const ArgumentSchema& schema_;
    const ArgumentText& in_;
    const Claims& claims_;
};

}  // namespace

Candidates string_candidates(const ArgumentProperty& property, const ArgumentSchema& schema,
                             const ArgumentText& in, const Claims& claims) {
    const Reader reader(schema, in, claims);
    Candidates out;
    for (std::size_t at = 0; at < in.words.size() && out.size() < kMostCandidates; ++at) {
        for (const auto& cue : property.cues) {
            if (!phrase_at(in.words, at, cue)) continue;
            const bool weak = std::find(property.strong_cues.begin(), property.strong_cues.end(),
                                        cue) == property.strong_cues.end();
            auto found = reader.read(at + cue.size(), weak);
            if (found && can_be_value(found->span.of(in.text))) out.push_back(std::move(*found));
            at += cue.size() - 1;
            break;
        }
    }
    // Names are written with capitals where anything is: what is not is then no name ("to fly" beside "to Athens").
    const bool named =
        std::any_of(out.begin(), out.end(), [](const auto& one) { return one.alone; });
    if (named) std::erase_if(out, [](const ArgumentCandidate& one) { return !one.alone; });
    return out;
}

}  // namespace leeway::router
