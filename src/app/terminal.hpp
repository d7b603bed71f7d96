#pragma once

#include "base/result.hpp"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::app {

/// Whether to colour what goes to `stream`: a terminal, TERM is not "dumb", and NO_COLOR is not set.
[[nodiscard]] bool wants_colour(std::FILE* stream);

enum class Colour { kRed, kYellow, kGreen, kBold, kDim };
/// `text` in a colour, or as it is when `enabled` is false.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour, bool enabled);

/// "leeway: error: …" and the hint, to standard error. Returns 1, the exit status.
int report_failure(const Error& error);
/// Columns of the same width, two spaces apart; the first row is the head and all have as many cells.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);
/// All of a file; of standard input when `path` is empty or "-". An error when it is larger than `most` bytes.
[[nodiscard]] Result<std::string> read_input(const std::string& path, std::size_t most);
/// Writes a file whole, in place of one that may be there. kConfig: it cannot be written, and the old one is as it was.
[[nodiscard]] Result<void> replace_file(const std::string& path, const std::string& text);
/// `text` to standard output. Returns 0, or 1 when it could not be written (a full disk).
int print_out(std::string_view text);

}  // namespace leeway::app
