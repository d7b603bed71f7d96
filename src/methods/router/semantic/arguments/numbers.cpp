#include "methods/router/semantic/arguments/numbers.hpp"

#include "base/strings.hpp"
#include "json/number.hpp"
#include "methods/router/semantic/words.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace leeway::router {
namespace {

enum class Measure : std::uint8_t { kTime, kLength, kMass, kPart, kMoney };

struct Unit {
    std::string_view names;  // folded, with a space at each end
    Measure measure;
    double factor;  // of the measure's own unit; a currency's number, since they are not exchanged
};

constexpr std::array kUnits{
    Unit{" s sec secs second seconds ", Measure::kTime, 1},
    Unit{" min mins minute minutes ", Measure::kTime, 60},
    Unit{" h hr hrs hour hours ", Measure::kTime, 3600},
    Unit{" day days ", Measure::kTime, 86'400},
    Unit{" week weeks ", Measure::kTime, 604'800},
    Unit{" mm millimeter millimeters millimetre millimetres ", Measure::kLength, 0.001},
    Unit{" cm centimeter centimeters centimetre centimetres ", Measure::kLength, 0.01},
    Unit{" m meter meters metre metres ", Measure::kLength, 1},
    Unit{" km kilometer kilometers kilometre kilometres ", Measure::kLength, 1000},
    Unit{" ft foot feet ", Measure::kLength, 0.3048},
    Unit{" mi mile miles ", Measure::kLength, 1609.344},
    Unit{" g gram grams ", Measure::kMass, 1},
    Unit{" kg kilo kilos kilogram kilograms ", Measure::kMass, 1000},
    Unit{" lb lbs pound pounds ", Measure::kMass, 453.59237},
    Unit{" % percent ", Measure::kPart, 1},
    Unit{" $ usd dollar dollars ", Measure::kMoney, 1},
    Unit{" € eur euro euros ", Measure::kMoney, 2},
    // Pounds are both; what the property wants tells which.
    Unit{" £ gbp pound pounds sterling ", Measure::kMoney, 3},
    Unit{" ¥ jpy yen ", Measure::kMoney, 4},
    Unit{" chf franc francs ", Measure::kMoney, 5},
    Unit{" ₹ inr rupee rupees ", Measure::kMoney, 6},
};
constexpr std::array<std::string_view, 5> kSigns{"€", "£", "¥", "₹", "$"};

constexpr std::array<std::string_view, 21> kSmall{
    "zero",     "one",     "two",     "three",     "four",     "five",     "six",
    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
constexpr std::array<std::string_view, 10> kTens{"",      "",      "twenty",  "thirty", "forty",
                                                 "fifty", "sixty", "seventy", "eighty", "ninety"};
// More than any quantity that people write, and exact in a double.
constexpr std::size_t kMostDigits = 15;

std::string lower(std::string_view name) {
    std::string out(name);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

class Finder : WordReader {
public:
    Finder(std::string_view text, const std::vector<TextWord>& words)
        : WordReader(text.substr(0, kMostWordBytes), words) {}

    std::vector<FoundNumber> run() {
        for (std::size_t at = 0; at < words_.size();) {
            const std::size_t end =
                is_digit(text_[words_[at].span.begin]) ? digits(at) : letters(at);
            at = std::max(end, at + 1);
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] char at_offset(std::size_t offset) const {
        return offset < text_.size() ? text_[offset] : ' ';
    }

    /// Digits with their commas and points from the beginning of word `at`; the word behind.
    std::size_t digits(std::size_t at) {
        const std::size_t begin = words_[at].span.begin;
        std::size_t end = begin;
        while (is_digit(at_offset(end)) ||
               ((at_offset(end) == ',' || at_offset(end) == '.') && is_digit(at_offset(end + 1))))
            ++end;
        const std::size_t behind = word_at(words_, end);
        const auto value = value_of(text_.substr(begin, end - begin));
        FoundNumber found;
        found.span = {begin, end};
        const char next = at_offset(end);
        const char before = begin > 0 ? text_[begin - 1] : ' ';
        const bool timed = next == ':' && is_digit(at_offset(end + 1));
        const bool within = before == '/' || before == '_' || before == '#' || before == '@' ||
                            next == '/' || next == '_' || next == '@';
        const bool minutes = before == ':' && begin > 1 && is_digit(text_[begin - 2]);
        if (!value || timed || within || minutes) return behind;
        found.value = *value;
        // What is glued to it is a unit, or it is no number: "A320" is one word, "5kg", "3pm" and "1st" as well.
        const std::size_t last = behind - 1;
        if (words_[last].span.end > end) {
            const std::string_view glued = text_.substr(end, words_[last].span.end - end);
            if (!is_unit(glued)) return behind;
            found.unit = glued;
            found.span.end = words_[last].span.end;
        }
        sign(found);
        unit_behind(found, behind);
        add(std::move(found), at, behind);
        return behind;
    }

    /// "1,200", "1,200.50", "1.200,50", "12,5", "12.5".
    [[nodiscard]] static std::optional<double> value_of(std::string_view text) {
        const std::size_t point = text.rfind('.');
        const std::size_t comma = text.rfind(',');
        const std::size_t none = std::string_view::npos;
        char decimal = '.';
        if (comma != none && (point == none || point < comma)) {
            // The last of two kinds of signs, or a comma before other than three digits, is the decimal one.
            const bool single = text.find(',') == comma;
            if (point != none || (single && text.size() - comma != 4)) decimal = ',';
        }
        std::string plain;
        std::size_t group = 0;
        bool fraction = false;
        bool grouped = false;
        for (const char c : text) {
            if (is_digit(c)) {
                plain += c;
                ++group;
                continue;
            }
            if (fraction) return std::nullopt;
            if (grouped && group != 3) return std::nullopt;
            if (!grouped && c != decimal && (group == 0 || group > 3)) return std::nullopt;
            grouped = true;
            group = 0;
            if (c != decimal) continue;
            fraction = true;
            plain += '.';
        }
        if (grouped && !fraction && group != 3) return std::nullopt;
        if (plain.size() > kMostDigits + 1) return std::nullopt;
        const std::size_t first = std::min(plain.find_first_not_of('0'), plain.size() - 1);
        plain.erase(0, plain[first] == '.' ? first - 1 : first);
        return json::to_double(plain);
    }

    /// A currency or a minus right before it.
    void sign(FoundNumber& found) const {
        std::size_t& begin = found.span.begin;
        for (const std::string_view one : kSigns) {
            if (text_.substr(0, begin).ends_with(one)) {
                begin -= one.size();
                found.unit = one;
            }
        }
        const bool minus = begin > 0 && text_[begin - 1] == '-';
        const char before = begin > 1 ? text_[begin - 2] : ' ';
        if (minus && (before == ' ' || before == '(' || before == '\n')) {
            --begin;
            found.value = -found.value;
        } else if (minus) {
            found.unsure =
                is_digit(before);  // "2-3"; what hangs on a word's hyphen ("covid-19") has no unit
            if (!found.unsure) found.unit.clear();
        }
    }

    void unit_behind(FoundNumber& found, std::size_t behind) {
        if (!found.unit.empty()) return;
        std::string_view rest = text_.substr(found.span.end);
        if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
        for (const std::string_view one : {"%", "€", "£", "¥", "₹", "$"}) {
            if (!rest.starts_with(one)) continue;
            found.unit = one;
            found.span.end = text_.size() - rest.size() + std::string_view(one).size();
            return;
        }
        if (!joined(behind) || !is_unit(word(behind))) return;
        found.unit = word(behind);
        found.span.end = words_[behind].span.end;
    }

    /// "three", "twenty-one", "two hundred", "a couple", "a dozen".
    std::size_t letters(std::size_t at) {
        const std::string_view first = word(at);
        std::size_t end = at + 1;
        double value = 0;
        if (first == "couple" && word(at > 0 ? at - 1 : at) == "a") {
            value = 2;
        } else if (const auto small = number_word(first)) {
            value = *small;
            const bool tens = *small >= 20 && *small % 10 == 0;
            const auto more = tens && joined(end) ? number_word(word(end)) : std::nullopt;
            if (more && *more >= 1 && *more <= 9) {
                value += *more;
                ++end;
            }
        } else {
            return at;
        }
        for (const auto& [name, factor] : {std::pair<std::string_view, double>{"hundred", 100},
                                           {"thousand", 1000},
                                           {"million", 1e6}}) {
            if (!joined(end) || word(end) != name) continue;
            value *= factor;
            ++end;
        }
        FoundNumber found;
        found.value = value;
        found.spelled = true;
        found.span = {words_[at].span.begin, words_[end - 1].span.end};
        unit_behind(found, end);
        add(std::move(found), at, end);
        return end;
    }

    void add(FoundNumber found, std::size_t at, std::size_t behind) {
        const std::string_view next = joined(behind) ? word(behind) : std::string_view();
        if (is_among(" am pm oclock st nd rd th ", next)) return;
        // "2 or 3", "5 to 7", "2-3": neither is the number.
        if (!out_.empty()) {
            FoundNumber& last = out_.back();
            const std::size_t between = word_at(words_, last.span.end);
            const bool linked = between + 1 == at && joined(between) && joined(at) &&
                                (word(between) == "or" || word(between) == "to");
            const bool dashed =
                between == at && found.span.begin >= last.span.end &&
                is_dash(text_.substr(last.span.end, found.span.begin - last.span.end));
            if (linked || dashed || (found.unsure && between == at))
                found.unsure = last.unsure = true;
        }
        out_.push_back(std::move(found));
    }
    [[nodiscard]] static bool is_dash(std::string_view between) {
        return between == "-" || between == "\xE2\x80\x93" || between == "\xE2\x80\x94" ||
               between == " - " || between == " \xE2\x80\x93 ";
    }

    std::vector<FoundNumber> out_;
};

}  // namespace

bool is_unit(std::string_view name) noexcept {
    if (name.empty() || name.find(' ') != std::string_view::npos) return false;
    const std::string folded = lower(name);
    return std::any_of(kUnits.begin(), kUnits.end(),
                       [&](const Unit& unit) { return is_among(unit.names, folded); });
}

std::optional<double> convert(double value, std::string_view from, std::string_view to) noexcept {
    const std::string source = lower(from);
    const std::string target = lower(to);
    for (const Unit& a : kUnits) {
        if (!is_among(a.names, source)) continue;
        for (const Unit& b : kUnits) {
            if (!is_among(b.names, target) || a.measure != b.measure) continue;
            if (a.factor == b.factor) return value;
            if (a.measure != Measure::kMoney) return value * a.factor / b.factor;
        }
    }
    return std::nullopt;
}

std::optional<int> number_word(std::string_view folded) noexcept {
    if (folded == "dozen") return 12;
    for (std::size_t i = 0; i < kSmall.size(); ++i)
        if (folded == kSmall[i]) return static_cast<int>(i);
    for (std::size_t i = 2; i < kTens.size(); ++i)
        if (folded == kTens[i]) return static_cast<int>(i * 10);
    return std::nullopt;
}

std::vector<FoundNumber> find_numbers(std::string_view text, const std::vector<TextWord>& words) {
    return Finder(text, words).run();
}

}  // namespace leeway::router
