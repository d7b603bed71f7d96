#include "app/terminal.hpp"

#include "base/strings.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

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

std::string table(const std::vector<std::vector<std::string>>& rows) {
    const auto width = [](const std::string& text) {
        return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
        }));
    };
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

Result<std::string> read_input(const std::string& path, std::size_t most) {
    const bool is_file = !path.empty() && path != "-";
    std::FILE* const in = is_file ? std::fopen(path.c_str(), "rb") : stdin;
    const auto failed = [&] {
        return fail(ErrorCode::kConfig,
                    fmt::format("cannot read {}: {}", is_file ? path : "standard input",
                                std::strerror(errno)));
    };
    if (in == nullptr) return failed();
    std::string out;
    std::vector<char> buffer(std::size_t{1} << 16U);
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), in)) {
        out.append(buffer.data(), got);
        if (out.size() > most) break;
    }
    const bool bad = std::ferror(in) != 0;
    if (is_file) std::fclose(in);
    if (bad) return failed();
    if (out.size() > most) {
        return fail(ErrorCode::kPayloadTooLarge,
                    fmt::format("{} is larger than {}", is_file ? path : "standard input",
                                human_bytes(most)));
    }
    return out;
}

Result<void> replace_file(const std::string& path, const std::string& text) {
    const std::string beside = path + ".new";
    std::FILE* const file = std::fopen(beside.c_str(), "wbe");
    bool ok = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (file != nullptr) ok = std::fclose(file) == 0 && ok;
    if (ok && std::rename(beside.c_str(), path.c_str()) == 0) return {};
    const std::string why = std::strerror(errno);
    (void)std::remove(beside.c_str());
    return fail(ErrorCode::kConfig, fmt::format("{} cannot be written: {}", path, why));
}

int print_out(std::string_view text) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    if (written && std::fflush(stdout) == 0) return 0;
    return report_failure({ErrorCode::kInternal, "cannot write to standard output", {}, {}, {}});
}

}  // namespace leeway::app
