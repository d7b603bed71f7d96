#pragma once

#include "base/result.hpp"

#include <cstdio>
#include <string>
#include <string_view>

namespace leeway::app {

/// Whether to colour what goes to `stream`: a terminal, TERM is not "dumb", and NO_COLOR is not set.
[[nodiscard]] bool wants_colour(std::FILE* stream);

enum class Colour { kRed, kYellow, kGreen, kBold, kDim };
/// `text` in a colour, or as it is when `enabled` is false.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour, bool enabled);

/// "leeway: error: …" and the hint, to standard error. Returns 1, the exit status.
int report_failure(const Error& error);
/// `text` to standard output. Returns 0, or 1 when it could not be written (a full disk).
int print_out(std::string_view text);

}  // namespace leeway::app
