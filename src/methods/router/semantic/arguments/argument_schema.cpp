#include "methods/router/semantic/arguments/argument_schema.hpp"

#include "json/number.hpp"
#include "json/write.hpp"
#include "methods/router/semantic/arguments/dates.hpp"
#include "methods/router/semantic/arguments/numbers.hpp"
#include "methods/router/semantic/arguments/text_words.hpp"
#include "methods/router/semantic/words.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <tuple>
#include <utility>

namespace leeway::router {
namespace {

// Enough for any pattern of a person, little enough for a file of thousands.
constexpr std::int64_t kPatternMemory = 1 << 20;

struct Ends {
    std::string_view names;  // with a space at each end
    std::array<std::string_view, 3> cues;
    bool strong;
};
// What people put before the two ends of a way or of a time, by what schemas call those.
constexpr std::array kEnds{
    Ends{" origin source departure depart from start pickup outbound ",
         {"from", "out of", {}},
         true},
    Ends{" destination target arrival to end dropoff return until ", {"to", "into", "until"}, true},
    Ends{" place city location town country region ", {"in", "near", {}}, false},
    Ends{" topic subject about ", {"about", "on", {}}, false},
};
// The rest of a name may say that it is a place; an address, a time or a currency has no preposition of its own.
constexpr std::string_view kPlaces =
    " a the place city location town country region airport station port point name ";
constexpr std::string_view kTimes = " a the date day time ";
// Of a description only these are taken: "to" and "from" stand in any.
constexpr std::string_view kDescribed = " origin departure destination arrival ";
// Words of names that say what a value is made of, not which one it is.
constexpr std::string_view kGeneric =
    " number num no count of is has with the a date time day value name id type kind enabled "
    "enable needs use to from in on at by for ";

/// "departureDate", "departure_date" and "departure-date" are two words.
std::vector<std::string> words_of_name(const std::string& name) {
    std::string spaced;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto c = static_cast<unsigned char>(name[i]);
        const bool rises = i > 0 && std::isupper(c) != 0 &&
                           std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
        if (rises) spaced += ' ';
        spaced += name[i];
    }
    return words_of(spaced);
}

using Phrase = std::vector<std::string>;

void add_to(std::vector<Phrase>& list, Phrase words) {
    if (words.empty() || std::find(list.begin(), list.end(), words) != list.end()) return;
    list.push_back(std::move(words));
}

/// The prepositions of the first kind of end that one of `words` names; false: none does.
bool add_ends(ArgumentProperty& property, const std::vector<std::string>& words) {
    for (const Ends& ends : kEnds) {
        const bool named = std::any_of(words.begin(), words.end(), [&](const auto& word) {
            return is_among(ends.names, word);
        });
        if (!named) continue;
        for (const std::string_view cue : ends.cues) {
            add_to(property.cues, words_of(cue));
            if (ends.strong) add_to(property.strong_cues, words_of(cue));
        }
        return true;
    }
    return false;
}

/// By the name, or by the description if the name does not say that it is something else.
void derive_ends(ArgumentProperty& property, const std::vector<std::string>& name) {
    const std::string_view fitting = property.date ? kTimes : kPlaces;
    const auto is_end = [](const std::string& word) {
        return std::any_of(kEnds.begin(), kEnds.end(),
                           [&](const Ends& ends) { return is_among(ends.names, word); });
    };
    const bool fits = std::all_of(name.begin(), name.end(), [&](const std::string& word) {
        return is_end(word) || is_among(fitting, word);
    });
    if (!fits || add_ends(property, name)) return;
    std::vector<std::string> described = words_of(property.description);
    std::erase_if(described, [](const auto& word) { return !is_among(kDescribed, word); });
    (void)add_ends(property, described);
}

void derive_cues(ArgumentProperty& property) {
    property.cues.clear();
    property.strong_cues.clear();
    for (const std::string& word : property.words) {
        add_to(property.cues, words_of(word));
        add_to(property.strong_cues, words_of(word));
    }
    const std::vector<std::string> name = words_of_name(property.name);
    if (name.size() > 1) add_to(property.cues, name);
    std::vector<std::string> telling = name;
    std::erase_if(telling, [](const std::string& word) {
        return is_among(kGeneric, word) || word.size() < 2;
    });
    if (property.type == ArgumentType::kBoolean) {
        // "tax" says nothing of `tax_exempt`.
        add_to(property.cues, telling);
    } else {
        for (const std::string& word : telling) {
            add_to(property.cues, {word});
            // In the singular as well.
            if (word.size() > 3 && word.back() == 's')
                add_to(property.cues, {word.substr(0, word.size() - 1)});
        }
    }
    if (property.type == ArgumentType::kString && property.words.empty())
        derive_ends(property, name);
    std::sort(property.cues.begin(), property.cues.end(), [](const Phrase& a, const Phrase& b) {
        return std::pair(b.size(), a) < std::pair(a.size(), b);
    });
}

void derive_phrases(ArgumentProperty& property) {
    property.phrases.clear();
    const auto add = [&](std::string_view text, std::size_t choice) {
        ArgumentPhrase one{words_of(text), choice};
        if (!one.words.empty()) property.phrases.push_back(std::move(one));
    };
    for (std::size_t i = 0; i < property.choices.size(); ++i) {
        add(property.choices[i].value, i);
        for (const std::string& synonym : property.choices[i].synonyms) add(synonym, i);
    }
    std::sort(property.phrases.begin(), property.phrases.end(), [](const auto& a, const auto& b) {
        if (a.words.front() != b.words.front()) return a.words.front() < b.words.front();
        return std::tuple(b.words.size(), a.words, a.choice) <
               std::tuple(a.words.size(), b.words, b.choice);
    });
}

tl::unexpected<Error> wrong(std::string message, std::string hint = {}) {
    return fail(ErrorCode::kConfig, std::move(message), std::move(hint));
}

}  // namespace

std::string_view to_string(ArgumentType type) noexcept {
    switch (type) {
        case ArgumentType::kString: break;
        case ArgumentType::kInteger: return "integer";
        case ArgumentType::kNumber: return "number";
        case ArgumentType::kBoolean: return "boolean";
    }
    return "string";
}

Result<void> prepare(ArgumentProperty& property) {
    const bool text = property.type == ArgumentType::kString;
    const bool number =
        property.type == ArgumentType::kInteger || property.type == ArgumentType::kNumber;
    const int kinds = static_cast<int>(property.date) +
                      static_cast<int>(!property.pattern.empty()) +
                      static_cast<int>(!property.choices.empty());
    if (!text && kinds > 0) return wrong("'format', 'pattern' and 'enum' are of strings");
    if (kinds > 1) return wrong("'format', 'pattern' and 'enum' exclude each other");
    if (!number && (property.minimum || property.maximum || !property.unit.empty()))
        return wrong("'minimum', 'maximum' and 'unit' are of numbers");
    if (property.minimum && property.maximum && *property.minimum > *property.maximum)
        return wrong("'minimum' is above 'maximum'");
    if (!property.unit.empty() && !is_unit(property.unit))
        return wrong(fmt::format("unknown unit '{}'", property.unit),
                     "such as EUR, USD, kg, km, h, min, day or %");
    if (!property.pattern.empty()) {
        RE2::Options options(RE2::Quiet);
        options.set_max_mem(kPatternMemory);
        auto regex = std::make_shared<const RE2>(property.pattern, options);
        if (!regex->ok())
            return wrong(fmt::format("pattern '{}': {}", property.pattern, regex->error()),
                         "RE2 syntax: https://github.com/google/re2/wiki/Syntax");
        property.regex = std::move(regex);
    }
    derive_cues(property);
    derive_phrases(property);
    return {};
}

bool can_be_value(std::string_view text) noexcept {
    return !text.empty() && text.size() <= kMostArgumentBytes &&
           std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) < ' '; });
}

bool in_bounds(const ArgumentProperty& property, double value) noexcept {
    return std::isfinite(value) && (!property.minimum || value >= *property.minimum) &&
           (!property.maximum || value <= *property.maximum);
}

bool allows(const ArgumentProperty& property, const json::Node& value) {
    switch (property.type) {
        case ArgumentType::kBoolean: return value.is_bool();
        case ArgumentType::kInteger:
        case ArgumentType::kNumber: {
            if (!value.is_number()) return false;
            if (property.type == ArgumentType::kInteger && !value.integer()) return false;
            const auto number = json::to_double(value.text);
            return number && in_bounds(property, *number);
        }
        case ArgumentType::kString: break;
    }
    if (!value.is_string() || !can_be_value(value.text)) return false;
    if (property.date) return parse_iso_date(value.text).has_value();
    if (property.regex) return RE2::PartialMatch(value.text, *property.regex);
    if (property.choices.empty()) return true;
    return std::any_of(property.choices.begin(), property.choices.end(),
                       [&](const ArgumentChoice& one) { return one.value == value.text; });
}

std::string json_schema(const ArgumentSchema& schema, const std::vector<std::size_t>& wanted) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("type").string("object").key("properties").object();
    for (const std::size_t place : wanted) {
        const ArgumentProperty& one = schema.properties[place];
        writer.key(one.name).object();
        writer.key("type").array().string(to_string(one.type)).string("null").close_array();
        std::string about = one.description;
        if (one.date) about += about.empty() ? "YYYY-MM-DD" : ", YYYY-MM-DD";
        if (!one.unit.empty()) about += (about.empty() ? "in " : ", in ") + one.unit;
        if (!about.empty()) writer.key("description").string(about);
        if (!one.choices.empty()) {
            writer.key("enum").array();
            for (const ArgumentChoice& choice : one.choices) writer.string(choice.value);
            writer.null().close_array();
        }
        writer.close_object();
    }
    writer.close_object().key("required").array();
    for (const std::size_t place : wanted) writer.string(schema.properties[place].name);
    writer.close_array().key("additionalProperties").boolean(false).close_object();
    return out;
}

}  // namespace leeway::router
