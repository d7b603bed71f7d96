#include "methods/router/predict/text_cues.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace leeway::router {
namespace {

/// Whether a character belongs to formulas.
constexpr std::array<bool, 256> kFormula = [] {
    std::array<bool, 256> out{};
    for (const char c : std::string_view("=+-*/^<>$\\")) out[static_cast<unsigned char>(c)] = true;
    return out;
}();

float log1(double count) { return static_cast<float>(std::log1p(count)); }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/// Characters counted in one pass.
struct Counts {
    std::uint32_t words = 0, lines = 0, digits = 0, numbers = 0, formula = 0, brackets = 0,
                  underscores = 0, capitals = 0, beyond_ascii = 0, choices = 0;
};

/// Whether a line that begins with `rest` is a choice: "A. …", " (B) …", "c: …".
bool is_choice(std::string_view rest) {
    if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    if (!rest.empty() && rest.front() == '(') rest.remove_prefix(1);
    if (rest.size() < 2) return false;
    const bool letter = (rest[0] >= 'A' && rest[0] <= 'E') || (rest[0] >= 'a' && rest[0] <= 'e');
    return letter && (rest[1] == ')' || rest[1] == '.' || rest[1] == ':');
}

Counts count(std::string_view text) {
    Counts out;
    char before = ' ';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (is_space(before) && !is_space(c)) ++out.words;
        if (is_digit(c)) {
            ++out.digits;
            if (!is_digit(before)) ++out.numbers;
        }
        if (c == '\n') {
            ++out.lines;
            if (is_choice(text.substr(i + 1))) ++out.choices;
        }
        if (kFormula[static_cast<unsigned char>(c)]) ++out.formula;
        if (c == '(') ++out.brackets;
        if (c == '_') ++out.underscores;
        if (c >= 'A' && c <= 'Z') ++out.capitals;
        if ((static_cast<unsigned char>(c) & 0xC0U) == 0xC0U) ++out.beyond_ascii;
        before = c;
    }
    return out;
}

bool has(std::string_view text, std::string_view what) {
    return text.find(what) != std::string_view::npos;
}

}  // namespace

TextCues cues_of(std::string_view text) noexcept {
    const double bytes = static_cast<double>(text.size());
    text = text.substr(0, kMostCueBytes);
    const Counts n = count(text);
    const double all = std::max(1.0, static_cast<double>(text.size()));
    const bool code = has(text, "```") || has(text, "def ") || has(text, "return ") ||
                      has(text, "#include") || has(text, "();");
    return {log1(bytes),
            log1(n.words),
            log1(n.lines),
            static_cast<float>(std::min(1.0, 5 * n.digits / all)),
            log1(n.numbers),
            log1(n.formula),
            has(text, "$") || has(text, "\\frac") ? 1.0F : 0.0F,
            code ? 1.0F : 0.0F,
            has(text, "?") ? 1.0F : 0.0F,
            log1(n.brackets),
            log1(n.underscores),
            static_cast<float>(5 * n.capitals / all),
            n.choices > 1 ? 1.0F : 0.0F,
            static_cast<float>(all / std::max(1U, n.words) / 6),
            n.beyond_ascii > 0 ? 1.0F : 0.0F,
            log1(n.beyond_ascii)};
}

}  // namespace leeway::router
