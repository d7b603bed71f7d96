#include "app/commands/routes_options.hpp"
#include "app/routes/routes_import.hpp"
#include "app/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace leeway::app {
namespace {

constexpr std::size_t kMostBytes = 64ULL * 1024 * 1024;

/// Makes a new file: one that is there may be in use.
Result<void> write_new(const std::string& path, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return fail(ErrorCode::kConfig, fmt::format("{}: cannot be made: {}", path,
                                                    std::generic_category().message(errno)));
    }
    std::FILE* const file = ::fdopen(fd, "wb");
    const bool ok = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !ok)
        return fail(ErrorCode::kConfig, fmt::format("{}: cannot be written", path));
    return {};
}

}  // namespace

int run_import_routes(const ImportRoutesOptions& options) {
    const auto text = read_input(options.file, kMostBytes);
    if (!text) return report_failure(text.error());
    const auto made = import_routes(*text, options.file == "-" ? "standard input" : options.file);
    if (!made) return report_failure(made.error());
    for (const std::string& line : made->not_carried)
        fmt::print(stderr, "not carried over: {}\n", line);
    if (options.output.empty()) return print_out(made->text);
    if (auto written = write_new(options.output, made->text); !written)
        return report_failure(written.error());
    return 0;
}

}  // namespace leeway::app
