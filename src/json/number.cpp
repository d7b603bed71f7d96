#include "json/number.hpp"

#include <charconv>
#include <system_error>

namespace leeway::json {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t skip_digits(std::string_view text, std::size_t i) noexcept {
    while (i < text.size() && is_digit(text[i])) ++i;
    return i;
}

}  // namespace

std::size_t number_length(std::string_view text) noexcept {
    std::size_t i = 0;
    if (i < text.size() && text[i] == '-') ++i;
    const std::size_t whole = i;
    i = skip_digits(text, i);
    if (i == whole || (text[whole] == '0' && i > whole + 1)) return 0;
    if (i < text.size() && text[i] == '.') {
        const std::size_t fraction = i + 1;
        i = skip_digits(text, fraction);
        if (i == fraction) return 0;
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
        const std::size_t exponent = i;
        i = skip_digits(text, exponent);
        if (i == exponent) return 0;
    }
    return i;
}

std::optional<std::int64_t> to_int64(std::string_view number) noexcept {
    std::int64_t value = 0;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
}

std::optional<double> to_double(std::string_view number) noexcept {
    if (number.empty() || number_length(number) != number.size()) return std::nullopt;
    double value = 0;
    const char* end = number.data() + number.size();
    const auto [stop, error] = std::from_chars(number.data(), end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
}

void append_normal_number(std::string& out, std::string_view number) {
    // Beyond this an exponent could overflow our own arithmetic.
    constexpr std::size_t kMaxExponentDigits = 15;
    const std::size_t mantissa_end = number.find_first_of("eE");
    std::string_view mantissa = number.substr(0, mantissa_end);
    std::int64_t exponent = 0;
    if (mantissa_end != std::string_view::npos) {
        std::string_view text = number.substr(mantissa_end + 1);
        const bool negative = text.starts_with('-');
        if (negative || text.starts_with('+')) text.remove_prefix(1);
        while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
        if (text.size() > kMaxExponentDigits &&
            mantissa.find_first_of("123456789") != std::string_view::npos) {
            out.push_back('!');
            out.append(number);
            return;
        }
        exponent = to_int64(text).value_or(0);
        if (negative) exponent = -exponent;
    }
    const bool negative = mantissa.starts_with('-');
    if (negative) mantissa.remove_prefix(1);
    std::string digits;
    digits.reserve(mantissa.size());
    bool fraction = false;
    for (const char c : mantissa) {
        if (c == '.') {
            fraction = true;
            continue;
        }
        if (fraction) --exponent;
        if (c != '0' || !digits.empty()) digits.push_back(c);
    }
    while (!digits.empty() && digits.back() == '0') {
        digits.pop_back();
        ++exponent;
    }
    if (digits.empty()) {
        out.append("0e0");
        return;
    }
    if (negative) out.push_back('-');
    out.append(digits);
    out.push_back('e');
    char buffer[24];
    const auto written = std::to_chars(buffer, buffer + sizeof buffer, exponent);
    out.append(buffer, written.ptr);
}

}  // namespace leeway::json
