#include "app/commands.hpp"
#include "app/key_store.hpp"
#include "app/price_layers.hpp"
#include "app/terminal.hpp"
#include "json/write.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// What `serve` would refuse beyond the file itself.
void add_exposure(const CheckOptions& options, ConfigReading& reading) {
    if (!reading.config) return;
    const auto state = state_folder_of(options.place);
    const auto stored = state ? has_stored_keys(*state) : Result<bool>(false);
    Result<void> ok = check_exposure(*reading.config, stored.value_or(false));
    if (!stored) ok = fail(stored.error());
    if (ok) return;
    ConfigProblem problem;
    problem.file = reading.config->path;
    problem.message = ok.error().text();
    reading.problems.push_back(std::move(problem));
}

/// A price book that would not be taken: an error where the file names it, as `serve` then does not start.
void add_prices(ConfigReading& reading) {
    if (!reading.config) return;
    const auto book = load_price_book(reading.config->prices);
    if (book) return;
    ConfigProblem problem;
    problem.is_error = reading.config->prices.book_named;
    problem.file = reading.config->path;
    problem.message = book.error().text();
    reading.problems.push_back(std::move(problem));
}

std::string as_json(const std::string& path, const ConfigReading& reading, bool ok) {
    std::string out;
    json::Writer writer(out);
    writer.object().key("ok").boolean(ok).key("file").string(path).key("problems").array();
    for (const ConfigProblem& problem : reading.problems) {
        writer.object().key("severity").string(problem.is_error ? "error" : "warning");
        writer.key("line").integer(problem.line).key("column").integer(problem.column);
        writer.key("message").string(problem.message).close_object();
    }
    writer.close_array();
    if (reading.config) {
        const Config& config = *reading.config;
        const auto count = [&](std::string_view name, std::size_t value) {
            writer.key(name).integer(static_cast<std::int64_t>(value));
        };
        count("providers", config.providers.size());
        count("models", config.models.size());
        count("routes", config.routes.size());
        count("keys", config.keys.size());
        writer.key("state").string(config.server.state);
    }
    writer.close_object();
    return out + "\n";
}

void append_line(std::string& out, const ConfigProblem& problem, bool colour) {
    const std::string text = problem.text();
    const std::string kind = problem.is_error ? "error:" : "warning:";
    const std::size_t at = text.find(kind, problem.file.size());
    out += coloured(text.substr(0, at), Colour::kBold, colour);
    out += coloured(kind, problem.is_error ? Colour::kRed : Colour::kYellow, colour);
    out += text.substr(at + kind.size()) + "\n";
}

}  // namespace

int run_check(const CheckOptions& options) {
    const auto path = config_path_of(options.place);
    if (!path) return report_failure(path.error());
    ConfigReading reading = read_config_file(*path);
    add_exposure(options, reading);
    add_prices(reading);
    const bool ok = std::none_of(reading.problems.begin(), reading.problems.end(),
                                 [](const ConfigProblem& problem) { return problem.is_error; });
    std::string out;
    if (options.json) {
        out = as_json(*path, reading, ok);
    } else {
        const bool colour = wants_colour(stdout);
        for (const ConfigProblem& problem : reading.problems) append_line(out, problem, colour);
        if (ok) {
            const Config& config = *reading.config;
            out += fmt::format("{}: {} (providers: {}, models: {}, routes: {}, keys: {})\n", *path,
                               coloured("ok", Colour::kGreen, colour), config.providers.size(),
                               config.models.size(), config.routes.size(), config.keys.size());
        }
    }
    const int written = print_out(out);
    return ok ? written : 1;
}

}  // namespace leeway::app
