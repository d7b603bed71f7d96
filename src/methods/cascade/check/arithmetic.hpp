#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace leeway::cascade::check {

/// Equations of an answer, computed again.
struct Sums {
    std::size_t right = 0;
    std::size_t wrong = 0;
    [[nodiscard]] std::size_t all() const noexcept { return right + wrong; }
};

/// Finds "3 + 4 = 7", "12 × $2.50 = $30", "(1,200 - 200) / 5 = 200 km", "25% of 80 = 20": numbers joined by + - * / x × ÷ · and
/// brackets, then "=" and a number. A result is right when it is the value rounded to the decimals it shows (or to one
/// part in 2,000, as people round); what is divided by 0 is wrong. Chains "a = b = c" are taken link by link.
/// Words between, units, currency signs and "≈" are passed over; lines without a sign of calculation count for nothing.
[[nodiscard]] Sums check_sums(std::string_view answer);

/// The last number of a text, as final answers are told ("… = $18.", "#### 18", "\boxed{18}"): its value.
[[nodiscard]] std::optional<double> last_number(std::string_view text);

}  // namespace leeway::cascade::check
