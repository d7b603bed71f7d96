#include "methods/router/semantic/signals.hpp"

#include "methods/router/semantic/words.hpp"

#include <algorithm>
#include <array>

namespace leeway::router {
namespace {

struct Common {
    std::string_view language;
    std::string_view
        words;  ///< small words that the others do not have, folded, with a space at both ends
};

constexpr std::array kCommon{
    Common{"en",
           " the and is are of to you what how my i it this that for with can do please where when "
           "who was not have your does would could "},
    Common{"de",
           " der die das und ist nicht ich sie wie was ein eine mit fur auf wo bitte kann mein "
           "meine wann wer sind zu den dem "},
    Common{"fr",
           " le la les et est une je vous que qui pour dans avec comment ou mon ma sont pas des du "
           "quel quelle cest nous "},
    Common{"es",
           " el la los las y es una que por para con como donde mi son no cuando quien del puedo "
           "cual hay esta "},
    Common{
        "it",
        " il lo gli e un una che per con come dove mio mia sono non quando chi della posso quale "
        "di nel ce "},
    Common{"pt",
           " o os as e um uma que por para com como onde meu minha sao nao quando quem da do posso "
           "qual eu voce "},
    Common{
        "nl",
        " de het een en is niet ik je wat hoe mijn met voor op waar kan wanneer wie zijn van dat "
        "naar graag "},
};

struct ByScript {
    Script script;
    std::string_view language;
};
constexpr std::array kByScript{
    ByScript{Script::kGreek, "el"},  ByScript{Script::kCyrillic, "ru"},
    ByScript{Script::kHebrew, "he"}, ByScript{Script::kArabic, "ar"},
    ByScript{Script::kThai, "th"},   ByScript{Script::kDevanagari, "hi"},
    ByScript{Script::kHangul, "ko"}, ByScript{Script::kKana, "ja"},
    ByScript{Script::kHan, "zh"},
};

std::string_view latin_language(std::string_view text) {
    std::array<std::size_t, kCommon.size()> hits{};
    for (const std::string& word : words_of(text)) {
        const std::string wanted = " " + word + " ";
        for (std::size_t i = 0; i < kCommon.size(); ++i)
            hits[i] += kCommon[i].words.find(wanted) != std::string_view::npos ? 1 : 0;
    }
    const auto best = std::max_element(hits.begin(), hits.end());
    if (*best == 0 || std::count(hits.begin(), hits.end(), *best) > 1) return {};
    return kCommon[static_cast<std::size_t>(best - hits.begin())].language;
}

std::string_view language_of(std::string_view text) {
    text = text.substr(0, std::min(text.size(), kMostWordBytes));
    std::array<std::size_t, static_cast<std::size_t>(Script::kOther) + 1> letters{};
    std::string_view rest = text;
    while (!rest.empty()) ++letters[static_cast<std::size_t>(next_letter(rest).script)];
    letters[static_cast<std::size_t>(Script::kNone)] = 0;
    const auto best = std::max_element(letters.begin(), letters.end());
    if (*best == 0) return {};
    const auto script = static_cast<Script>(best - letters.begin());
    if (script == Script::kLatin) return latin_language(text);
    // Japanese is written with both; Chinese has no Kana.
    if (script == Script::kHan && letters[static_cast<std::size_t>(Script::kKana)] > 0) return "ja";
    for (const ByScript& one : kByScript)
        if (one.script == script) return one.language;
    return {};
}

}  // namespace

std::string_view known_languages() noexcept {
    return "en de fr es it pt nl el ru he ar th hi ko ja zh";
}

bool TextSignals::has_phrase(std::string_view folded_phrase) {
    if (!folded_) folded_ = folded(text_);
    return folded_phrase.size() > 1 && folded_->find(folded_phrase) != std::string::npos;
}

std::string_view TextSignals::language() {
    if (!language_) language_ = language_of(text_);
    return *language_;
}

std::size_t TextSignals::characters() {
    if (!characters_) {
        characters_ =
            static_cast<std::size_t>(std::count_if(text_.begin(), text_.end(), [](char c) {
                return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
            }));
    }
    return *characters_;
}

}  // namespace leeway::router
