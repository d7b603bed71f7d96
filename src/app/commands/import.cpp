#include "app/import/import.hpp"

#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace leeway::app {
namespace {

using imports::Carried;
using imports::Imported;
using imports::NotCarried;

constexpr int kBadInput = 2;

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

Result<std::string> read_input(const std::string& path) {
    // Larger files are refused by the reader; that much tells it.
    constexpr std::size_t kMost = 2 * 1024 * 1024;
    const bool standard_input = path == "-";
    std::unique_ptr<std::FILE, CloseFile> opened;
    if (!standard_input) opened.reset(std::fopen(path.c_str(), "rbe"));
    std::FILE* file = standard_input ? stdin : opened.get();
    std::string text;
    std::array<char, 65'536> buffer{};
    std::size_t got = 0;
    while (file != nullptr && text.size() < kMost &&
           (got = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
        text.append(buffer.data(), got);
    }
    if (file == nullptr || std::ferror(file) != 0) {
        return fail(ErrorCode::kConfig, fmt::format("{}: cannot be read: {}", path,
                                                    std::generic_category().message(errno)));
    }
    return text;
}

/// Makes a new file: a configuration that is there already may be in use.
Result<void> write_new(const std::string& path, const std::string& text) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    std::size_t done = 0;
    bool ok = fd >= 0;
    while (ok && done < text.size()) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        ok = n > 0 || (n < 0 && errno == EINTR);
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    if (ok) ok = close(fd) == 0;
    if (ok) return {};
    const bool exists = fd < 0 && errno == EEXIST;
    return fail(
        ErrorCode::kConfig,
        fmt::format("{}: cannot be written: {}", path, std::generic_category().message(errno)),
        exists ? "name a new file with --output" : "");
}

std::string as_json(const Imported& imported) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("config").string(imported.config);
    writer.key("carried").array();
    for (const Carried& one : imported.carried) {
        writer.object().key("line").integer(one.line).key("from").string(one.from);
        writer.key("to").string(one.to).key("note").string(one.note).close_object();
    }
    writer.close_array().key("not_carried").array();
    for (const NotCarried& one : imported.not_carried) {
        writer.object().key("line").integer(one.line).key("from").string(one.from);
        writer.key("why").string(one.why).key("instead").string(one.instead).close_object();
    }
    writer.close_array().key("variables").array();
    for (const std::string& name : imported.variables) writer.string(name);
    writer.close_array().close_object();
    return out + "\n";
}

/// Compiler style, so that an editor finds the line.
void print_findings(const std::string& file, const Imported& imported) {
    const bool colour = wants_colour(stderr);
    const auto line = [&](std::uint32_t number, std::string_view kind, Colour of,
                          std::string_view text) {
        fmt::print(stderr, "{}: {} {}\n",
                   coloured(fmt::format("{}:{}", file, number), Colour::kBold, colour),
                   coloured(kind, of, colour), text);
    };
    for (const Carried& one : imported.carried) {
        if (one.note.empty()) continue;
        line(one.line, "note:", Colour::kGreen, fmt::format("{}: {}", one.from, one.note));
    }
    for (const NotCarried& one : imported.not_carried) {
        line(one.line, "not carried over:", Colour::kYellow,
             fmt::format("{}: {}{}", one.from, one.why,
                         one.instead.empty() ? "" : fmt::format(" (instead: {})", one.instead)));
    }
    fmt::print(stderr, "{} carried over, {} not", imported.carried.size(),
               imported.not_carried.size());
    if (!imported.variables.empty()) {
        fmt::print(stderr, "; to set in the environment: {}", fmt::join(imported.variables, ", "));
    }
    fmt::print(stderr, "\n");
}

}  // namespace

int run_import(const ImportOptions& options) {
    const bool litellm = options.gateway == ImportOptions::Gateway::kLitellm;
    const auto text = read_input(options.file);
    const auto imported = text.and_then([&](const std::string& read) {
        return litellm ? imports::import_litellm(read) : imports::import_portkey(read);
    });
    if (!imported) {
        Error error = imported.error();
        if (text) error.message = fmt::format("{}: {}", options.file, error.message);
        const int failed = report_failure(error);
        return error.code == ErrorCode::kConfig ? kBadInput : failed;
    }
    if (!options.output.empty()) {
        if (const auto ok = write_new(options.output, imported->config); !ok) {
            return report_failure(ok.error());
        }
    }
    int status = 0;
    if (options.json) {
        status = print_out(as_json(*imported));
    } else {
        if (options.output.empty()) status = print_out(imported->config);
        print_findings(options.file, *imported);
    }
    return status == 0 && options.strict && !imported->not_carried.empty() ? 1 : status;
}

}  // namespace leeway::app
