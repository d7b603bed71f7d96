#pragma once

#include "methods/router/semantic/arguments/text_words.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::router {

struct FoundNumber {
    double value = 0;
    Span span;  ///< with its sign and its unit
    std::string unit;  ///< one that is_unit knows, as it stands in the text; empty: none
    bool unsure = false;  ///< one end of "2-3", "2 or 3", "5 to 7"
    bool spelled = false;  ///< in letters
};

/// Whether `name` is a unit of time, length or mass, a currency or "%".
[[nodiscard]] bool is_unit(std::string_view name) noexcept;
/// `value` of one unit in another; nullopt: they measure different things. Currencies are not exchanged.
[[nodiscard]] std::optional<double> convert(double value, std::string_view from,
                                            std::string_view to) noexcept;
/// "zero" to "twenty", the tens, "dozen"; nullopt: no number.
[[nodiscard]] std::optional<int> number_word(std::string_view folded) noexcept;

/// The numbers of an English text in its order: -5, 1,200.50, 12,5 (a comma before other than three digits is a decimal
/// one), "twenty-one", "a couple", with a currency before or a unit behind. Times of the day, ordinals, digits within
/// words, versions and addresses are none.
[[nodiscard]] std::vector<FoundNumber> find_numbers(std::string_view text,
                                                    const std::vector<TextWord>& words);

}  // namespace leeway::router
