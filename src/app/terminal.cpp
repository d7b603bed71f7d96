#include "app/terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace leeway::app {

bool wants_colour(std::FILE* stream) {
    // NOLINTBEGIN(concurrency-mt-unsafe): the environment does not change while we run
    const char* no_colour = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    // NOLINTEND(concurrency-mt-unsafe)
    if (no_colour != nullptr && *no_colour != '\0') return false;
    if (term == nullptr || std::string_view(term) == "dumb") return false;
    return isatty(fileno(stream)) == 1;
}

std::string coloured(std::string_view text, Colour colour, bool enabled) {
    if (!enabled) return std::string(text);
    int code = 0;
    switch (colour) {
        case Colour::kRed: code = 31; break;
        case Colour::kYellow: code = 33; break;
        case Colour::kGreen: code = 32; break;
        case Colour::kBold: code = 1; break;
        case Colour::kDim: code = 2; break;
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

int report_failure(const Error& error) {
    const bool colour = wants_colour(stderr);
    fmt::print(stderr, "leeway: {} {}\n", coloured("error:", Colour::kRed, colour), error.message);
    if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
    return 1;
}

int print_out(std::string_view text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) return 0;
    return report_failure({ErrorCode::kInternal, "cannot write to standard output", {}, {}, {}});
}

}  // namespace leeway::app
