#include "methods/agent_cache/semantic/words.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace leeway::agent_cache::semantic {
namespace {

constexpr std::size_t kMostBytes = 8192;
constexpr std::size_t kMostWords = 1024;
constexpr char32_t kBad = 0xFFFFFFFF;

struct Decoded {
    char32_t code = kBad;
    std::size_t length = 1;
};

/// Shortest-form UTF-8 of a scalar value, else one bad byte.
Decoded decode(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) -> char32_t {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
    };
    const char32_t lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xF0 && lead < 0xF5   ? 4
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                                                             : 1;
    if (length == 1) return {};
    char32_t code = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) return {};
        code = code << 6U | (byte(i) & 0x3FU);
    }
    constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
    return {code, length};
}

void append(std::string& out, char32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0U | c >> 6U);
        out += static_cast<char>(0x80U | (c & 0x3FU));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0U | c >> 12U);
        out += static_cast<char>(0x80U | (c >> 6U & 0x3FU));
        out += static_cast<char>(0x80U | (c & 0x3FU));
    } else {
        out += static_cast<char>(0xF0U | c >> 18U);
        out += static_cast<char>(0x80U | (c >> 12U & 0x3FU));
        out += static_cast<char>(0x80U | (c >> 6U & 0x3FU));
        out += static_cast<char>(0x80U | (c & 0x3FU));
    }
}

/// Simple lower case of the scripts in which case is common; the accents of Greek capitals go along.
constexpr char32_t lower(char32_t c) noexcept {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
    if (c >= 0x100 && c <= 0x137) return c | 1U;
    if (c >= 0x139 && c <= 0x148) return (c & 1U) != 0 ? c + 1 : c;
    if (c >= 0x14A && c <= 0x177) return c | 1U;
    if (c >= 0x391 && c <= 0x3A9) return c + 32;
    switch (c) {
        case 0x386: return 0x3AC;
        case 0x388: return 0x3AD;
        case 0x389: return 0x3AE;
        case 0x38A: return 0x3AF;
        case 0x38C: return 0x3CC;
        case 0x38E: return 0x3CD;
        case 0x38F: return 0x3CE;
        case 0x3C2: return 0x3C3;  // the sigma that ends words
        default: break;
    }
    if (c >= 0x410 && c <= 0x42F) return c + 32;
    if (c >= 0x400 && c <= 0x40F) return c + 80;
    return c;
}

enum Script : std::uint16_t {
    kLatin = 1,
    kGreek = 2,
    kCyrillic = 4,
    kHebrew = 8,
    kArabic = 16,
    kIndic = 32,
    kHan = 64,
    kKana = 128,
    kHangul = 256,
    kThai = 512,
    kOtherScript = 1024,
};

/// The script of a letter; 0: no letter.
constexpr std::uint16_t script_of(char32_t c) noexcept {
    if (c < 0x80) return (c | 32U) >= 'a' && (c | 32U) <= 'z' ? kLatin : 0;
    if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA ? kLatin : 0;
    if (c < 0x250) return c == 0xD7 || c == 0xF7 ? 0 : kLatin;
    if (c < 0x370) return kLatin;  // phonetic letters and combining marks
    if (c < 0x400) return c == 0x37E || c == 0x387 ? 0 : kGreek;
    if (c < 0x530) return kCyrillic;
    if (c < 0x590) return kOtherScript;
    if (c < 0x600) return kHebrew;
    if (c < 0x780) return c == 0x60C || c == 0x61B || c == 0x61F ? 0 : kArabic;
    if (c >= 0x900 && c < 0xE00) return kIndic;
    if (c >= 0xE00 && c < 0xE80) return kThai;
    if (c >= 0x1100 && c < 0x1200) return kHangul;
    if (c >= 0x1E00 && c < 0x1F00) return kLatin;
    if (c >= 0x1F00 && c < 0x2000) return kGreek;
    if (c >= 0x2000 && c < 0x3040) return 0;  // punctuation, symbols, arrows, shapes
    if (c >= 0x3040 && c < 0x3100) return kKana;
    if (c >= 0x3400 && c < 0xA000) return kHan;
    if (c >= 0xAC00 && c < 0xD7B0) return kHangul;
    if (c >= 0xD800 && c < 0xFB50) return c >= 0xF900 && c < 0xFB00 ? kHan : 0;
    if (c >= 0xFB50 && c < 0xFE00) return kArabic;
    if (c >= 0xFE00 && c < 0xFE70) return 0;
    if (c >= 0xFE70 && c < 0xFF00) return kArabic;
    if (c >= 0xFF00 && c < 0x10000) return c >= 0xFF21 && c < 0xFF5B ? kLatin : 0;
    if (c >= 0x1F000 && c < 0x20000) return 0;  // pictographs
    if (c >= 0x20000 && c < 0x32000) return kHan;
    return c == kBad ? 0 : kOtherScript;
}

constexpr bool is_digit(char32_t c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_apostrophe(char32_t c) noexcept { return c == '\'' || c == 0x2019; }
constexpr bool is_ideograph(std::uint16_t script) noexcept {
    return script == kHan || script == kKana;
}
constexpr char currency_of(char32_t c) noexcept {
    switch (c) {
        case '$': return 'u';
        case 0x20AC: return 'e';
        case 0xA3: return 'g';
        case 0x20B9: return 'i';
        case 0xA5: return 'j';
        default: return 0;
    }
}

class Splitter {
public:
    explicit Splitter(std::string_view text) noexcept : text_(text.substr(0, kMostBytes)) {}

    WordList run() {
        while (at_ < text_.size() && out_.words.size() < kMostWords) {
            const Decoded c = decode(text_, at_);
            const std::uint16_t script = script_of(c.code);
            if (script != 0 || is_digit(c.code)) {
                word();
            } else {
                mark(c);
            }
        }
        return std::move(out_);
    }

private:
    void mark(const Decoded& c) {
        if (counts(c)) sign(c.code);
        minus_ = c.code == '-' && !touches_ && followed(c.length, true);
        at_ += c.length;
        const char currency = currency_of(c.code);
        if (currency != 0) {
            currency_ = currency;
            if (after_number()) out_.words.back().currency = currency;
            return;
        }
        currency_ = 0;
        if (c.code == '%' && after_number()) out_.words.back().percent = true;
        if (c.code == '.' || c.code == '!' || c.code == '?' || c.code == ':' || c.code == '\n' ||
            c.code == 0x3002) {
            starts_ = true;
        }
        if (c.code == '?' || c.code == 0x37E || c.code == 0x61F) out_.question_mark = true;
        if (c.code == '"') quoted_ = !quoted_;
        if (c.code == 0x201C || c.code == 0xAB) quoted_ = true;
        if (c.code == 0x201D || c.code == 0xBB) quoted_ = false;
        touches_ = false;
    }

    /// 5 + 3 is not 5 * 3; a dash is a minus only between numbers, a slash no sign in "and/or".
    [[nodiscard]] bool counts(const Decoded& c) const {
        const bool number = !out_.words.empty() && out_.words.back().number;
        switch (c.code) {
            case '+':
            case '*':
            case '=':
            case '<':
            case '>':
            case '^':
            case 0xD7:
            case 0xF7: return true;
            case '-':
            case '/': return number && followed(c.length, true, true);
            default: return false;
        }
    }

    void sign(char32_t code) {
        Word word;
        append(word.lower, code);
        out_.words.push_back(std::move(word));
    }

    /// The last word is a number that what comes now touches.
    [[nodiscard]] bool after_number() const {
        return touches_ && !out_.words.empty() && out_.words.back().number;
    }

    void word() {
        Word word;
        word.starts_sentence = starts_;
        word.quoted = quoted_;
        const Decoded first = decode(text_, at_);
        word.number = is_digit(first.code);
        if (word.number) {
            word.currency = currency_;
            word.negative = minus_;
        }
        word.capital = lower(first.code) != first.code;
        std::size_t letters = 0;
        std::size_t capitals = 0;
        std::size_t after_apostrophe = std::string::npos;
        while (at_ < text_.size()) {
            const Decoded c = decode(text_, at_);
            const std::uint16_t script = script_of(c.code);
            if (script != 0) {
                if (is_ideograph(script) && !word.lower.empty()) break;
                out_.scripts |= script;
                ++letters;
                if (lower(c.code) != c.code) ++capitals;
                append(word.lower, lower(c.code));
            } else if (is_digit(c.code)) {
                word.digits = true;
                word.lower += static_cast<char>(c.code);
            } else if ((c.code == '+' || c.code == '#') && letters > 0) {
                word.lower += static_cast<char>(c.code);
            } else if (is_apostrophe(c.code) && followed(c.length, false)) {
                after_apostrophe = word.lower.size();
            } else if (word.number && letters == 0 &&
                       (c.code == '.' || c.code == ',' || c.code == ':') &&
                       followed(c.length, true)) {
                if (c.code != ',') word.lower += static_cast<char>(c.code);
            } else {
                break;
            }
            at_ += c.length;
            if (is_ideograph(script)) break;
        }
        // what's, Anna's: the "s" says nothing of its own
        if (after_apostrophe != std::string::npos && word.lower.substr(after_apostrophe) == "s") {
            word.lower.resize(after_apostrophe);
        }
        word.all_capitals = letters >= 2 && capitals == letters;
        if (!word.lower.empty()) out_.words.push_back(std::move(word));
        starts_ = false;
        touches_ = true;
        currency_ = 0;
        minus_ = false;
    }

    /// What stands `length` bytes on is a digit, or else a letter; `spaces` may stand before it.
    [[nodiscard]] bool followed(std::size_t length, bool by_digit,
                                bool spaces = false) const noexcept {
        std::size_t at = at_ + length;
        while (spaces && at < text_.size() && text_[at] == ' ') ++at;
        if (at >= text_.size()) return false;
        const char32_t next = decode(text_, at).code;
        return by_digit ? is_digit(next) : script_of(next) != 0;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    WordList out_;
    bool starts_ = true;
    bool quoted_ = false;
    bool touches_ = false;
    bool minus_ = false;
    char currency_ = 0;
};

bool ends(std::string_view word, std::string_view with) noexcept { return word.ends_with(with); }

bool is_vowel(char c) noexcept {
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/// "stopp" is "stop", "mak" stays: vowels at the end were cut with the ending, on both sides alike.
void tidy(std::string& stem) {
    const std::size_t n = stem.size();
    if (n > 3 && stem[n - 1] == stem[n - 2] && !is_vowel(stem[n - 1]) && stem[n - 1] != 's' &&
        stem[n - 1] != 'l') {
        stem.pop_back();
    }
    if (stem.size() > 3 && stem.back() == 'e') stem.pop_back();
}

}  // namespace

WordList split_words(std::string_view text) { return Splitter(text).run(); }

std::string stem_of(std::string_view word) {
    std::string out(word);
    if (out.size() < 4) return out;
    if (ends(out, "ies") && out.size() > 4) {
        out.replace(out.size() - 3, 3, "y");
    } else if (ends(out, "sses") || ends(out, "xes") || ends(out, "ches") || ends(out, "shes")) {
        out.resize(out.size() - 2);
    } else if (out.back() == 's' && !ends(out, "ss") && !ends(out, "us") && !ends(out, "is")) {
        out.pop_back();
    }
    if (ends(out, "ing") && out.size() > 5) {
        out.resize(out.size() - 3);
    } else if (ends(out, "ied") && out.size() > 4) {
        out.replace(out.size() - 3, 3, "y");
    } else if (ends(out, "ed") && out.size() > 4) {
        out.resize(out.size() - 2);
    }
    tidy(out);
    return out;
}

}  // namespace leeway::agent_cache::semantic
