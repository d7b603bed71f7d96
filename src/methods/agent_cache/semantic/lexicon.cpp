#include "methods/agent_cache/semantic/lexicon.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace leeway::agent_cache::semantic {
namespace {

/// Sorted at compile time, so that the lists below may stand in an order that reads well.
template <std::size_t N>
constexpr std::array<std::string_view, N> sorted(std::array<std::string_view, N> words) {
    std::sort(words.begin(), words.end());
    return words;
}
template <class T, std::size_t N>
constexpr std::array<std::pair<std::string_view, T>, N> by_word(
    std::array<std::pair<std::string_view, T>, N> table) {
    std::sort(table.begin(), table.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    return table;
}
template <std::size_t N>
bool holds(const std::array<std::string_view, N>& words, std::string_view word) noexcept {
    return std::binary_search(words.begin(), words.end(), word);
}
template <class T, std::size_t N>
const T* look_up(const std::array<std::pair<std::string_view, T>, N>& table,
                 std::string_view word) noexcept {
    const auto at = std::lower_bound(table.begin(), table.end(), word,
                                     [](const auto& a, std::string_view b) { return a.first < b; });
    return at != table.end() && at->first == word ? &at->second : nullptr;
}

constexpr auto kFunctionWords = sorted(std::to_array<std::string_view>({
    "a",       "an",       "the",       "i",      "me",       "my",       "mine",   "myself",
    "we",      "us",       "our",       "you",    "your",     "yours",    "he",     "she",
    "it",      "its",      "they",      "them",   "their",    "his",      "her",    "him",
    "this",    "that",     "these",     "those",  "there",    "here",     "one",    "ones",
    "someone", "somebody", "something", "anyone", "anything", "any",      "some",   "each",
    "every",   "all",      "both",      "such",   "same",     "so",       "too",    "very",
    "just",    "really",   "actually",  "only",   "even",     "ever",     "also",   "still",
    "already", "am",       "is",        "are",    "was",      "were",     "be",     "been",
    "being",   "do",       "does",      "did",    "doing",    "done",     "have",   "has",
    "had",     "having",   "can",       "could",  "will",     "would",    "shall",  "should",
    "may",     "might",    "must",      "im",     "ive",      "ill",      "id",     "whats",
    "hows",    "wheres",   "lets",      "what",   "which",    "who",      "whom",   "whose",
    "when",    "where",    "why",       "how",    "if",       "then",     "else",   "and",
    "or",      "but",      "as",        "at",     "by",       "for",      "from",   "in",
    "into",    "of",       "on",        "onto",   "to",       "with",     "about",  "like",
    "than",    "out",      "up",        "off",    "over",     "per",      "via",    "please",
    "tell",    "give",     "show",      "let",    "want",     "need",     "know",   "help",
    "get",     "got",      "getting",   "make",   "go",       "going",    "much",   "many",
    "hi",      "hello",    "hey",       "thanks", "thank",    "s",        "t",      "d",
    "m",       "ll",       "re",        "ve",     "because",  "while",    "during", "through",
    "not",     "no",       "nor",       "don",    "doesn",    "didn",     "isn",    "won",
    "t",       "ok",       "okay",      "yes",    "kindly",   "possible", "way",    "ways",
}));
constexpr auto kNegations = sorted(std::to_array<std::string_view>({
    "not",    "no",      "never",   "none",   "nobody", "nothing",  "nowhere", "neither", "nor",
    "cannot", "without", "cant",    "dont",   "doesnt", "didnt",    "isnt",    "arent",   "wasnt",
    "werent", "wont",    "wouldnt", "mustnt", "neednt", "shouldnt", "couldnt", "hasnt",   "havent",
    "hadnt",  "aint",    "except",  "hardly", "nicht",  "kein",     "keine",   "keinen",  "nie",
    "ohne",   "pas",     "jamais",  "sans",   "nunca",  "jamás",    "sin",     "non",     "mai",
    "senza",  "nem",     "não",     "δεν",    "μην",    "όχι",      "ποτέ",    "χωρίς",   "не",
    "нет",    "никогда", "без",
}));
constexpr auto kPronouns = sorted(std::to_array<std::string_view>({
    "it",      "its",   "itself",  "they",   "them",  "their",  "theirs",  "themselves", "he",
    "him",     "his",   "himself", "she",    "her",   "hers",   "herself", "this",       "that",
    "these",   "those", "former",  "latter", "one",   "ones",   "same",    "other",      "others",
    "another", "else",  "instead", "such",   "there", "then",   "above",   "previous",   "earlier",
    "again",   "es",    "sie",     "ihn",    "dies",  "dieser", "das",     "elle",       "ils",
    "elles",   "lui",   "cela",    "ça",     "ello",  "eso",    "esto",    "ellos",      "αυτό",
    "αυτός",   "αυτή",  "это",     "он",     "она",   "они",    "its",
}));
constexpr auto kContinuations = sorted(std::to_array<std::string_view>({
    "and",  "but",      "or",        "so",      "then",  "also", "ok",   "okay",      "yes",
    "yeah", "no",       "nope",      "sure",    "right", "now",  "next", "otherwise", "plus",
    "more", "continue", "elaborate", "explain", "why",   "und",  "aber", "et",        "mais",
    "y",    "pero",     "e",         "και",     "αλλά",  "и",    "а",    "но",
}));
constexpr auto kDirections = sorted(std::to_array<std::string_view>({
    "from", "to",    "than",  "over",  "into",  "before", "after", "against", "toward", "towards",
    "via",  "until", "till",  "above", "below", "under",  "von",   "nach",    "de",     "à",
    "von",  "zu",    "desde", "hacia", "από",   "προς",   "из",    "в",
}));
using Date = std::pair<std::string_view, DateWord>;
constexpr auto kDates = by_word(std::to_array<Date>({
    {"january", {1}},       {"jan", {1}},           {"february", {2}},   {"feb", {2}},
    {"march", {3, true}},   {"april", {4}},         {"apr", {4}},        {"may", {5, true}},
    {"june", {6}},          {"july", {7}},          {"jul", {7}},        {"august", {8}},
    {"aug", {8}},           {"september", {9}},     {"sept", {9}},       {"sep", {9}},
    {"october", {10}},      {"oct", {10}},          {"november", {11}},  {"nov", {11}},
    {"december", {12}},     {"dec", {12}},          {"monday", {20}},    {"tuesday", {21}},
    {"tues", {21}},         {"wednesday", {22}},    {"thursday", {23}},  {"thurs", {23}},
    {"friday", {24}},       {"saturday", {25}},     {"sunday", {26}},    {"mondays", {20}},
    {"tuesdays", {21}},     {"wednesdays", {22}},   {"thursdays", {23}}, {"fridays", {24}},
    {"saturdays", {25}},    {"sundays", {26}},      {"weekend", {27}},   {"weekends", {27}},
    {"weekday", {28}},      {"weekdays", {28}},     {"today", {30}},     {"todays", {30}},
    {"tomorrow", {31}},     {"tomorrows", {31}},    {"yesterday", {32}}, {"yesterdays", {32}},
    {"tonight", {33}},      {"morning", {34}},      {"noon", {35}},      {"afternoon", {36}},
    {"evening", {37}},      {"night", {38}},        {"midnight", {39}},  {"am", {40, true}},
    {"pm", {41}},           {"spring", {42, true}}, {"summer", {43}},    {"autumn", {44}},
    {"fall", {44, true}},   {"winter", {45}},       {"christmas", {50}}, {"easter", {51}},
    {"thanksgiving", {52}}, {"halloween", {53}},    {"ramadan", {54}},   {"diwali", {55}},
}));

using Unit = std::pair<std::string_view, std::string_view>;
constexpr auto kUnits = by_word(std::to_array<Unit>({
    {"km", "km"},
    {"kms", "km"},
    {"kilometer", "km"},
    {"kilometers", "km"},
    {"kilometre", "km"},
    {"kilometres", "km"},
    {"mile", "mi"},
    {"miles", "mi"},
    {"mi", "mi"},
    {"meter", "m"},
    {"meters", "m"},
    {"metre", "m"},
    {"metres", "m"},
    {"centimeter", "cm"},
    {"centimeters", "cm"},
    {"centimetre", "cm"},
    {"centimetres", "cm"},
    {"cm", "cm"},
    {"mm", "mm"},
    {"millimeter", "mm"},
    {"millimeters", "mm"},
    {"inch", "in"},
    {"inches", "in"},
    {"foot", "ft"},
    {"feet", "ft"},
    {"ft", "ft"},
    {"yard", "yd"},
    {"yards", "yd"},
    {"kg", "kg"},
    {"kgs", "kg"},
    {"kilo", "kg"},
    {"kilos", "kg"},
    {"kilogram", "kg"},
    {"kilograms", "kg"},
    {"gram", "g"},
    {"grams", "g"},
    {"mg", "mg"},
    {"milligram", "mg"},
    {"milligrams", "mg"},
    {"lb", "lb"},
    {"lbs", "lb"},
    {"pound", "lb"},
    {"pounds", "lb"},
    {"ounce", "oz"},
    {"ounces", "oz"},
    {"oz", "oz"},
    {"ton", "t"},
    {"tons", "t"},
    {"tonne", "t"},
    {"tonnes", "t"},
    {"liter", "l"},
    {"liters", "l"},
    {"litre", "l"},
    {"litres", "l"},
    {"ml", "ml"},
    {"milliliters", "ml"},
    {"millilitres", "ml"},
    {"gallon", "gal"},
    {"gallons", "gal"},
    {"pint", "pt"},
    {"pints", "pt"},
    {"cup", "cup"},
    {"cups", "cup"},
    {"tablespoon", "tbsp"},
    {"tablespoons", "tbsp"},
    {"teaspoon", "tsp"},
    {"teaspoons", "tsp"},
    {"celsius", "degc"},
    {"centigrade", "degc"},
    {"fahrenheit", "degf"},
    {"kelvin", "degk"},
    {"percent", "%"},
    {"percentage", "%"},
    {"second", "s"},
    {"seconds", "s"},
    {"minute", "min"},
    {"minutes", "min"},
    {"mins", "min"},
    {"hour", "h"},
    {"hours", "h"},
    {"hrs", "h"},
    {"hourly", "h"},
    {"day", "day"},
    {"days", "day"},
    {"daily", "day"},
    {"week", "week"},
    {"weeks", "week"},
    {"weekly", "week"},
    {"month", "month"},
    {"months", "month"},
    {"monthly", "month"},
    {"year", "year"},
    {"years", "year"},
    {"yearly", "year"},
    {"annual", "year"},
    {"annually", "year"},
    {"decade", "decade"},
    {"decades", "decade"},
    {"century", "century"},
    {"dollar", "usd"},
    {"dollars", "usd"},
    {"usd", "usd"},
    {"buck", "usd"},
    {"bucks", "usd"},
    {"cent", "cent"},
    {"cents", "cent"},
    {"euro", "eur"},
    {"euros", "eur"},
    {"eur", "eur"},
    {"gbp", "gbp"},
    {"sterling", "gbp"},
    {"yen", "jpy"},
    {"jpy", "jpy"},
    {"rupee", "inr"},
    {"rupees", "inr"},
    {"inr", "inr"},
    {"rs", "inr"},
    {"yuan", "cny"},
    {"rmb", "cny"},
    {"chf", "chf"},
    {"franc", "chf"},
    {"francs", "chf"},
    {"peso", "peso"},
    {"pesos", "peso"},
    {"lakh", "lakh"},
    {"lakhs", "lakh"},
    {"crore", "crore"},
    {"crores", "crore"},
    {"aud", "aud"},
    {"cad", "cad"},
    {"kb", "kb"},
    {"mb", "mb"},
    {"gb", "gb"},
    {"tb", "tb"},
    {"gigabytes", "gb"},
    {"megabytes", "mb"},
    {"terabytes", "tb"},
    {"watt", "w"},
    {"watts", "w"},
    {"kw", "kw"},
    {"kilowatts", "kw"},
    {"volt", "v"},
    {"volts", "v"},
    {"amp", "a"},
    {"amps", "a"},
    {"mph", "mph"},
    {"kmh", "kmh"},
    {"kph", "kmh"},
    {"acre", "acre"},
    {"acres", "acre"},
    {"hectare", "ha"},
    {"hectares", "ha"},
    {"calorie", "cal"},
    {"calories", "cal"},
    {"joule", "j"},
    {"joules", "j"},
    {"hz", "hz"},
    {"mhz", "mhz"},
    {"ghz", "ghz"},
    {"bit", "bit"},
    {"bits", "bit"},
    {"byte", "byte"},
    {"bytes", "byte"},
}));

constexpr auto kNumbers = by_word(std::to_array<Unit>({
    {"zero", "0"},
    {"two", "2"},
    {"three", "3"},
    {"four", "4"},
    {"five", "5"},
    {"six", "6"},
    {"seven", "7"},
    {"eight", "8"},
    {"nine", "9"},
    {"ten", "10"},
    {"eleven", "11"},
    {"twelve", "12"},
    {"thirteen", "13"},
    {"fourteen", "14"},
    {"fifteen", "15"},
    {"sixteen", "16"},
    {"seventeen", "17"},
    {"eighteen", "18"},
    {"nineteen", "19"},
    {"twenty", "20"},
    {"thirty", "30"},
    {"forty", "40"},
    {"fifty", "50"},
    {"sixty", "60"},
    {"seventy", "70"},
    {"eighty", "80"},
    {"ninety", "90"},
    {"hundred", "100"},
    {"hundreds", "100"},
    {"thousand", "1000"},
    {"thousands", "1000"},
    {"million", "1000000"},
    {"millions", "1000000"},
    {"billion", "1000000000"},
    {"billions", "1000000000"},
    {"first", "1"},
    {"third", "3"},
    {"fourth", "4"},
    {"fifth", "5"},
    {"sixth", "6"},
    {"seventh", "7"},
    {"eighth", "8"},
    {"ninth", "9"},
    {"tenth", "10"},
    {"twice", "2"},
    {"double", "2"},
    {"triple", "3"},
    {"dozen", "12"},
    {"half", "0.5"},
    {"quarter", "0.25"},
}));

/// Words of one meaning on each side, with spaces between.
struct Pair {
    std::string_view one;
    std::string_view other;
};
constexpr auto kPairs = std::to_array<Pair>({
    {"increase increasing increased increases raise raising raised gain gaining gained",
     "decrease decreasing decreased decreases reduce reducing reduced lower lowering lowered lose "
     "losing lost loss"},
    {"open opening opened opens opened", "close closing closed closes shut"},
    {"buy buying bought purchase purchasing purchased", "sell selling sold sale"},
    {"activate activated activating activation enable enabled enabling on",
     "deactivate deactivated deactivating deactivation disable disabled disabling off"},
    {"start starting started begin beginning begun",
     "stop stopping stopped quit quitting end ending"},
    {"cheap cheapest cheaper inexpensive", "expensive costly costliest dear"},
    {"before", "after"},
    {"up", "down"},
    {"send sending sent", "receive receiving received"},
    {"deposit deposited depositing deposits",
     "withdraw withdrawing withdrawal withdrawals withdrew"},
    {"credit", "debit"},
    {"man men boy boys male males guy guys he", "woman women girl girls female females lady she"},
    {"hot hotter hottest warm heat heating", "cold colder coldest cool cooling"},
    {"big bigger biggest large larger largest", "small smaller smallest little tiny"},
    {"first", "last"},
    {"best", "worst"},
    {"good better", "bad worse"},
    {"more", "less fewer"},
    {"most", "least fewest"},
    {"minimum min", "maximum max"},
    {"highest higher", "lowest lower"},
    {"left", "right"},
    {"north northern", "south southern"},
    {"east eastern", "west western"},
    {"legal legally", "illegal illegally"},
    {"possible", "impossible"},
    {"freeze freezing frozen", "unfreeze thaw"},
    {"lock locked locking", "unlock unlocked unlocking"},
    {"block blocked blocking", "unblock unblocked unblocking"},
    {"install installed installing", "uninstall uninstalled uninstalling"},
    {"subscribe", "unsubscribe"},
    {"love loves loved like", "hate hates hated dislike"},
    {"win winning won", "lose losing lost"},
    {"import importing imports", "export exporting exports"},
    {"upload uploading uploaded", "download downloading downloaded"},
    {"login signin", "logout signout"},
    {"arrive arriving arrival arrives", "depart departing departure leave leaving"},
    {"push pushing", "pull pulling"},
    {"add adding added insert", "remove removing removed delete deleting deleted subtract"},
    {"create creating created", "delete deleting deleted destroy"},
    {"accept accepting accepted approve approved",
     "reject rejected rejecting refuse refused decline declined deny denied"},
    {"positive", "negative"},
    {"pros advantage advantages benefit benefits",
     "cons disadvantage disadvantages drawbacks risks"},
    {"above", "below under underneath"},
    {"inside indoors indoor", "outside outdoors outdoor"},
    {"empty", "full"},
    {"husband", "wife"},
    {"mother mom", "father dad"},
    {"brother", "sister"},
    {"son", "daughter"},
    {"king", "queen"},
    {"old older oldest", "young younger youngest new newer newest"},
    {"rich richest", "poor poorest"},
    {"fast faster fastest quick quickly", "slow slower slowest slowly"},
    {"early earlier earliest", "late later latest"},
    {"long longer longest", "short shorter shortest"},
    {"tall taller tallest", "short shorter shortest"},
    {"heavy heavier", "light lighter"},
    {"easy easier easiest simple", "hard harder hardest difficult"},
    {"wet", "dry"},
    {"alive living", "dead dying"},
    {"sitting sit seated", "standing stand"},
    {"asleep sleeping", "awake waking"},
    {"true", "false"},
    {"same", "different"},
    {"always", "never"},
    {"with", "without"},
    {"alone", "together"},
    {"lend lending", "borrow borrowing"},
    {"teach teaching", "learn learning"},
    {"ask asking", "answer answering"},
    {"public", "private"},
    {"domestic", "international foreign"},
    {"black", "white"},
    {"day", "night"},
    {"safe safely", "dangerous unsafe"},
    {"include included including", "exclude excluded excluding"},
    {"connect connected", "disconnect disconnected"},
    {"attach", "detach"},
    {"encrypt encryption", "decrypt decryption"},
    {"encode", "decode"},
    {"mute", "unmute"},
    {"follow", "unfollow"},
    {"hire hiring hired", "fire firing fired"},
    {"near", "far"},
    {"thick thicker", "thin thinner"},
    {"strong stronger strength strengths", "weak weaker weakness weaknesses"},
    {"import", "export"},
    {"ascending", "descending"},
    {"horizontal horizontally", "vertical vertically"},
    {"input", "output"},
    {"entry enter", "exit"},
    {"employed employment", "unemployed unemployment"},
    {"successful success succeed", "unsuccessful failure fail failed failing"},
    {"pass passed passing", "fail failed failing"},
    {"normal", "abnormal"},
    {"valid", "invalid"},
    {"visible", "invisible"},
    {"complete completed", "incomplete"},
    {"happy happiness", "sad unhappy sadness"},
    {"allow allowed", "forbid forbidden prohibit prohibited ban banned"},
    {"morning", "evening"},
    {"sunrise", "sunset"},
    {"ancestors", "descendants"},
    {"plus", "minus"},
    {"import", "export"},
    {"physical", "virtual"},
    {"visa", "mastercard"},
});

constexpr std::size_t words_in(std::string_view text) {
    return 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), ' '));
}
constexpr std::size_t kOppositeWords = [] {
    std::size_t total = 0;
    for (const Pair& pair : kPairs) total += words_in(pair.one) + words_in(pair.other);
    return total;
}();
using Side = std::pair<std::string_view, std::uint16_t>;
constexpr std::array<Side, kOppositeWords> kOpposites = [] {
    std::array<Side, kOppositeWords> out{};
    std::size_t n = 0;
    for (std::size_t i = 0; i < kPairs.size(); ++i) {
        for (std::size_t side = 0; side < 2; ++side) {
            std::string_view rest = side == 0 ? kPairs[i].one : kPairs[i].other;
            while (true) {
                const std::size_t space = rest.find(' ');
                out[n++] = {rest.substr(0, space), static_cast<std::uint16_t>(2 * (i + 1) + side)};
                if (space == std::string_view::npos) break;
                rest.remove_prefix(space + 1);
            }
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}();

using Change = std::pair<std::string_view, std::uint8_t>;
constexpr auto kChanges = by_word(std::to_array<Change>({
    {"latest", 1},      {"newest", 1},    {"current", 1},   {"currently", 1}, {"recent", 1},
    {"recently", 1},    {"president", 1}, {"ceo", 1},       {"minister", 1},  {"champion", 1},
    {"price", 1},       {"prices", 1},    {"cost", 1},      {"costs", 1},     {"salary", 1},
    {"population", 1},  {"upcoming", 1},  {"nowadays", 1},  {"today", 2},     {"todays", 2},
    {"tonight", 2},     {"tomorrow", 2},  {"yesterday", 2}, {"weather", 2},   {"forecast", 2},
    {"temperature", 2}, {"rain", 2},      {"raining", 2},   {"traffic", 2},   {"news", 2},
    {"headlines", 2},   {"stock", 2},     {"stocks", 2},    {"score", 2},     {"scores", 2},
    {"rate", 2},        {"rates", 2},     {"bitcoin", 2},   {"available", 2}, {"availability", 2},
    {"status", 2},      {"balance", 2},   {"now", 2},       {"open", 1},      {"flight", 2},
    {"flights", 2},     {"random", 3},    {"randomly", 3},  {"roll", 3},      {"flip", 3},
    {"dice", 3},        {"coin", 2},      {"timer", 3},     {"o'clock", 3},   {"joke", 3},
}));

}  // namespace

bool is_function_word(std::string_view word) noexcept { return holds(kFunctionWords, word); }
bool is_negation(std::string_view word) noexcept { return holds(kNegations, word); }
bool is_pronoun(std::string_view word) noexcept { return holds(kPronouns, word); }
bool continues(std::string_view word) noexcept { return holds(kContinuations, word); }
bool is_direction(std::string_view word) noexcept { return holds(kDirections, word); }
std::optional<DateWord> date_word(std::string_view word) noexcept {
    const DateWord* found = look_up(kDates, word);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

std::string_view unit_name(std::string_view word) noexcept {
    const std::string_view* found = look_up(kUnits, word);
    return found == nullptr ? std::string_view() : *found;
}

std::string_view number_word(std::string_view word) noexcept {
    const std::string_view* found = look_up(kNumbers, word);
    return found == nullptr ? std::string_view() : *found;
}

Sides opposite_sides(std::string_view word) noexcept {
    Sides out;
    auto at = std::lower_bound(kOpposites.begin(), kOpposites.end(), word,
                               [](const Side& a, std::string_view b) { return a.first < b; });
    if (at == kOpposites.end() || at->first != word) return out;
    out.first = at->second;
    ++at;
    if (at != kOpposites.end() && at->first == word) out.second = at->second;
    return out;
}

int change_of(std::string_view word) noexcept {
    const std::uint8_t* found = look_up(kChanges, word);
    return found == nullptr ? 0 : *found;
}

}  // namespace leeway::agent_cache::semantic
