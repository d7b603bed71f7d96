#include "methods/cascade/check/arithmetic.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace leeway::cascade::check {
namespace {

constexpr std::size_t kMostDepth = 32;
constexpr std::size_t kLongest =
    64;  // tokens of a side, so that hostile text costs no more than its length

enum class Kind : std::uint8_t { kNumber, kOperator, kOpen, kClose, kEquals, kWord, kBreak };

struct Token {
    Kind kind = Kind::kBreak;
    char sign = 0;  // kOperator: + - * /
    double value = 0;  // kNumber
    int decimals = 0;
    bool percent = false;
    bool spaced = false;  // white space before it
};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (static_cast<unsigned char>(c) & 0x80U) != 0;
}

struct Spelled {
    std::string_view text;
    Kind kind;
    char sign;
};
constexpr std::array kSigns{
    Spelled{"+", Kind::kOperator, '+'},
    Spelled{"-", Kind::kOperator, '-'},
    Spelled{"*", Kind::kOperator, '*'},
    Spelled{"/", Kind::kOperator, '/'},
    Spelled{"×", Kind::kOperator, '*'},
    Spelled{"·", Kind::kOperator, '*'},
    Spelled{"÷", Kind::kOperator, '/'},
    Spelled{"−", Kind::kOperator, '-'},
    Spelled{"–", Kind::kOperator, '-'},
    Spelled{"\\times", Kind::kOperator, '*'},
    Spelled{"\\cdot", Kind::kOperator, '*'},
    Spelled{"\\div", Kind::kOperator, '/'},
    Spelled{"(", Kind::kOpen, 0},
    Spelled{")", Kind::kClose, 0},
    Spelled{"=", Kind::kEquals, 0},
    Spelled{"≈", Kind::kEquals, 0},
};
// Between numbers without a meaning of their own.
constexpr std::array<std::string_view, 7> kPassed{"$", "€", "£", "\\$", "\\(", "\\)", "°"};

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::vector<Token> tokens() {
        std::vector<Token> out;
        bool spaced = false;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t') {
                spaced = true;
                ++at_;
                continue;
            }
            if (passed_over()) continue;
            Token token = next();
            token.spaced = std::exchange(spaced, false);
            out.push_back(token);
        }
        return out;
    }

private:
    bool passed_over() {
        for (const std::string_view one : kPassed) {
            if (text_.substr(at_, one.size()) != one) continue;
            at_ += one.size();
            return true;
        }
        return false;
    }

    Token next() {
        const char c = text_[at_];
        if (is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1])))
            return number();
        for (const Spelled& one : kSigns) {
            if (text_.substr(at_, one.text.size()) != one.text) continue;
            at_ += one.text.size();
            return {one.kind, one.sign, 0, 0, false, false};
        }
        if (is_letter(c)) return word();
        ++at_;
        return {};
    }

    Token number() {
        std::string digits;
        Token out{Kind::kNumber, 0, 0, 0, false, false};
        bool point = false;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            const bool digit_next = at_ + 1 < text_.size() && is_digit(text_[at_ + 1]);
            if (is_digit(c)) {
                digits += c;
                out.decimals += point ? 1 : 0;
            } else if (c == '.' && !point && digit_next) {
                digits += c;
                point = true;
            } else if (c != ',' || point || !groups()) {
                break;
            }
        }
        (void)std::from_chars(digits.data(), digits.data() + digits.size(), out.value);
        if (at_ < text_.size() && text_[at_] == '%') {
            out.percent = true;
            ++at_;
        }
        return out;
    }

    /// Whether a comma at this place has exactly three digits behind it.
    [[nodiscard]] bool groups() const {
        std::size_t digits = 0;
        while (at_ + 1 + digits < text_.size() && is_digit(text_[at_ + 1 + digits])) ++digits;
        return digits == 3;
    }

    Token word() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_letter(text_[at_]) && !sign_here()) ++at_;
        const std::string_view word = text_.substr(begin, at_ - begin);
        if (word == "x" || word == "X" || word == "of")  // "25% of 80"
            return {Kind::kOperator, '*', 0, 0, false, false};
        // "3r + 5w = 42" is algebra, "300g" is not.
        const bool glued = begin > 0 && is_digit(text_[begin - 1]);
        if (glued && word.size() == 1 && word != "g" && word != "m" && word != "h") return {};
        return {Kind::kWord, 0, 0, 0, false, false};
    }
    /// A sign that begins like a letter of another script.
    [[nodiscard]] bool sign_here() const {
        return std::any_of(kSigns.begin(), kSigns.end(), [&](const Spelled& one) {
            return one.text.size() > 1 && one.text[0] != '\\' &&
                   text_.substr(at_, one.text.size()) == one.text;
        });
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

/// Reads the expression that ends right before a place, from left to right.
class Expression {
public:
    Expression(const std::vector<Token>& tokens, std::size_t from, std::size_t to)
        : tokens_(tokens), at_(from), end_(to) {}

    /// nullopt: no expression, or something is left over.
    std::optional<double> value() {
        const auto out = sum();
        if (at_ != end_) return std::nullopt;
        return out;
    }
    [[nodiscard]] bool calculates() const noexcept { return operators_ > 0; }

private:
    [[nodiscard]] bool is(Kind kind) const { return at_ < end_ && tokens_[at_].kind == kind; }
    [[nodiscard]] bool is(char a, char b) const {
        return is(Kind::kOperator) && (tokens_[at_].sign == a || tokens_[at_].sign == b);
    }
    /// Units behind a number: "3 eggs * 2".
    void skip_words() {
        while (is(Kind::kWord)) ++at_;
    }

    std::optional<double> sum() {
        auto left = product();
        while (left && is('+', '-')) {
            const bool minus = tokens_[at_++].sign == '-';
            ++operators_;
            const auto right = product();
            if (!right) return std::nullopt;
            *left += minus ? -*right : *right;
        }
        return left;
    }
    std::optional<double> product() {
        auto left = factor();
        while (left && is('*', '/')) {
            const bool divide = tokens_[at_++].sign == '/';
            if (divide && is(Kind::kWord)) {  // "$2/egg" is a unit
                skip_words();
                continue;
            }
            ++operators_;
            const auto right = factor();
            if (!right) return std::nullopt;
            *left = divide ? *left / *right : *left * *right;
        }
        return left;
    }
    std::optional<double> factor() {
        if (++depth_ > kMostDepth) return std::nullopt;
        const auto out = inner();
        --depth_;
        return out;
    }
    std::optional<double> inner() {
        if (is(Kind::kOperator) && tokens_[at_].sign == '-') {
            ++at_;
            const auto negated = factor();
            if (!negated) return std::nullopt;
            return -*negated;
        }
        std::optional<double> out;
        if (is(Kind::kOpen)) {
            ++at_;
            out = sum();
            if (!is(Kind::kClose)) return std::nullopt;
            ++at_;
        } else if (is(Kind::kNumber)) {
            out = tokens_[at_].percent ? tokens_[at_].value / 100 : tokens_[at_].value;
            ++at_;
        }
        if (out) skip_words();
        return out;
    }

    const std::vector<Token>& tokens_;
    std::size_t at_;
    std::size_t end_;
    std::size_t operators_ = 0;
    std::size_t depth_ = 0;
};

bool is_right(double value, const Token& told, bool negative) {
    double result = negative ? -told.value : told.value;
    if (!std::isfinite(value)) return false;
    if (told.percent && std::abs(value) <= 1.5) value *= 100;
    constexpr double kRounding = 1.0 / 2000;
    constexpr double kTiny = 1e-9;
    const double shown = 0.5 * std::pow(10.0, -told.decimals) + kTiny;
    // Whole results are exact, unless they are large; decimals are rounded somehow.
    const double allowed = told.decimals > 0 ? std::max(shown, kRounding * std::abs(value))
                           : std::abs(value - std::round(value)) < 1e-6
                               ? kTiny * std::max(1.0, std::abs(value))
                               : 1.0;
    return std::abs(value - result) <= allowed;
}

}  // namespace

Sums check_sums(std::string_view answer) {
    const std::vector<Token> tokens = Scanner(answer).tokens();
    Sums out;
    std::size_t begin = 0;  // of what may belong to the left side
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i].kind == Kind::kBreak) begin = i + 1;
        if (tokens[i].kind != Kind::kEquals) continue;
        // The result: a number, perhaps negative, at once behind the sign.
        std::size_t result = i + 1;
        const bool negative = result < tokens.size() && tokens[result].kind == Kind::kOperator &&
                              tokens[result].sign == '-';
        result += negative ? 1 : 0;
        const bool told = result < tokens.size() && tokens[result].kind == Kind::kNumber;
        // The longest stretch before the sign that is an expression with at least one operator. A stretch begins
        // with a number, a bracket or a minus.
        std::optional<double> value;
        const std::size_t earliest = std::max(begin, i > kLongest ? i - kLongest : 0);
        for (std::size_t from = earliest; told && from < i && !value; ++from) {
            const Token& first = tokens[from];
            // "3 1/2" and "27(1/3)" are one number in two.
            if (from > begin && tokens[from - 1].kind == Kind::kNumber) continue;
            const bool may_begin = first.kind == Kind::kNumber || first.kind == Kind::kOpen ||
                                   (first.kind == Kind::kOperator && first.sign == '-');
            if (!may_begin) continue;
            Expression expression(tokens, from, i);
            const auto found = expression.value();
            if (found && expression.calculates()) value = found;
        }
        // A result that goes on ("= 3 * 4 = 12", "= 1 1/2") is no result yet; its next sign of equality is another link.
        std::size_t next = result + 1;
        while (next < tokens.size() && tokens[next].kind == Kind::kWord) ++next;
        const bool goes_on = told && next < tokens.size() &&
                             (tokens[next].kind == Kind::kOperator ||
                              (tokens[next].kind == Kind::kNumber && next == result + 1));
        if (value && !goes_on)
            (is_right(*value, tokens[result], negative) ? out.right : out.wrong) += 1;
        begin = i + 1;
    }
    return out;
}

std::optional<double> last_number(std::string_view text) {
    const std::vector<Token> tokens = Scanner(text).tokens();
    for (std::size_t i = tokens.size(); i-- > 0;) {
        if (tokens[i].kind != Kind::kNumber) continue;
        // A minus belongs to it unless something stands before it that it subtracts from.
        const bool negative =
            i > 0 && tokens[i - 1].kind == Kind::kOperator && tokens[i - 1].sign == '-' &&
            (i < 2 || (tokens[i - 2].kind != Kind::kNumber && tokens[i - 2].kind != Kind::kClose &&
                       tokens[i - 2].kind != Kind::kWord));
        return negative ? -tokens[i].value : tokens[i].value;
    }
    return std::nullopt;
}

}  // namespace leeway::cascade::check
