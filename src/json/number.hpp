#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::json {

/// Length of the JSON number that `text` begins with; 0: it begins with none.
[[nodiscard]] std::size_t number_length(std::string_view text) noexcept;

/// The value of a JSON number without fraction and exponent, or nullopt (also when out of range).
[[nodiscard]] std::optional<std::int64_t> to_int64(std::string_view number) noexcept;
/// The nearest double, or nullopt when `number` is no JSON number or beyond the range of doubles.
[[nodiscard]] std::optional<double> to_double(std::string_view number) noexcept;

/// Appends the one spelling of the value of the JSON number `number`: "-?digits" without leading and
/// trailing zeros, then "e" and the decimal exponent; zero is "0e0". Equal values give equal text at any
/// precision. An exponent beyond ±10^15 is not normalised: then "!" and the text as it is.
void append_normal_number(std::string& out, std::string_view number);

}  // namespace leeway::json
