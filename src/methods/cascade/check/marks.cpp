#include "methods/cascade/check/marks.hpp"

#include "base/strings.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace leeway::cascade::check {
namespace {

constexpr std::size_t kBeginning = 300;

constexpr std::array<std::string_view, 34> kRefusals{"i cannot",
                                                     "i can't",
                                                     "i can not",
                                                     "i am unable",
                                                     "i'm unable",
                                                     "i am not able",
                                                     "i'm not able",
                                                     "i won't be able",
                                                     "i must decline",
                                                     "i have to decline",
                                                     "i don't have access",
                                                     "i do not have access",
                                                     "i don't have enough information",
                                                     "i do not have enough information",
                                                     "as an ai",
                                                     "i'm sorry, but",
                                                     "i am sorry, but",
                                                     "i apologize, but",
                                                     "ich kann nicht",
                                                     "ich kann dir nicht",
                                                     "ich kann ihnen nicht",
                                                     "das kann ich nicht",
                                                     "es tut mir leid",
                                                     "je ne peux pas",
                                                     "je suis désolé",
                                                     "je ne suis pas en mesure",
                                                     "no puedo",
                                                     "lo siento",
                                                     "no me es posible",
                                                     "δεν μπορώ",
                                                     "δεν έχω πρόσβαση",
                                                     "δυστυχώς δεν",
                                                     "λυπάμαι, αλλά",
                                                     "against my guidelines"};

constexpr std::array<std::string_view, 26> kHedges{
    "i think",     "i believe",        "i guess",         "i'm not sure", "i am not sure",
    "not certain", "i'm not certain",  "probably",        "possibly",     "perhaps",
    "maybe",       "might be",         "may be",          "could be",     "it seems",
    "it appears",  "as far as i know", "to my knowledge", "roughly",      "it is likely",
    "it's likely", "hard to say",      "unclear",         "i assume",     "assuming that",
    "if i recall"};

bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' ||
           (static_cast<unsigned char>(c) & 0x80U) != 0;
}

/// Small ASCII letters and plain apostrophes; other letters as they are.
std::string lowered(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    constexpr std::string_view kCurly = "’";
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, kCurly.size()) == kCurly) {
            out += '\'';
            i += kCurly.size() - 1;
            continue;
        }
        out += ascii_lower(text[i]);
    }
    return out;
}

/// Whether `phrase` stands at `at` with no letter right before or behind it.
bool stands_at(std::string_view text, std::size_t at, std::string_view phrase) noexcept {
    if (text.substr(at, phrase.size()) != phrase) return false;
    const std::size_t end = at + phrase.size();
    return (at == 0 || !is_word(text[at - 1])) && (end >= text.size() || !is_word(text[end]));
}

bool looks_cut(std::string_view answer) {
    std::size_t fences = 0;
    for (std::size_t at = answer.find("```"); at != std::string_view::npos;
         at = answer.find("```", at + 3))
        ++fences;
    if (fences % 2 == 1) return true;
    std::size_t end = answer.size();
    while (end > 0 && is_space(answer[end - 1])) --end;
    const std::string_view last = answer.substr(0, end);
    // One word or number is an answer; a longer one ends somehow.
    if (last.find(' ') == std::string_view::npos) return false;
    return last.back() == ',' || last.back() == '(' || last.back() == '[' || last.back() == '{' ||
           last.back() == ':' || last.back() == '-';
}

}  // namespace

Marks marks_of(std::string_view answer) {
    Marks out;
    out.empty = std::all_of(answer.begin(), answer.end(), is_space);
    if (out.empty) return out;
    const std::string text = lowered(answer);
    const std::string_view beginning = std::string_view(text).substr(0, kBeginning);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!is_word(text[at]) || (at > 0 && is_word(text[at - 1]))) continue;
        ++out.words;
        if (at < beginning.size() && !out.refuses) {
            out.refuses = std::any_of(
                kRefusals.begin(), kRefusals.end(),
                [&](std::string_view phrase) { return stands_at(beginning, at, phrase); });
        }
        const bool hedge =
            std::any_of(kHedges.begin(), kHedges.end(),
                        [&](std::string_view phrase) { return stands_at(text, at, phrase); });
        out.hedges += hedge ? 1U : 0U;
    }
    out.cut = looks_cut(answer);
    return out;
}

}  // namespace leeway::cascade::check
