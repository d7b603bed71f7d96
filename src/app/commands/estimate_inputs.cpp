#include "app/commands/estimate_inputs.hpp"

#include "app/default_paths.hpp"
#include "app/price_layers.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "ledger/export.hpp"
#include "ledger/reader.hpp"
#include "ledger/time_text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace leeway::app {
namespace {

constexpr std::size_t kMostInputBytes = std::size_t{1} << 30U;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

Result<std::optional<std::int64_t>> moment(const char* option, const std::string& text) {
    if (text.empty()) return std::nullopt;
    const auto parsed = ledger::parse_time(text, unix_now_us());
    if (!parsed) {
        return fail(ErrorCode::kConfig, fmt::format("{}: {}", option, parsed.error().message),
                    parsed.error().hint);
    }
    return std::optional(*parsed);
}

using File = std::unique_ptr<std::FILE, CloseFile>;

/// The lines of an export, by way of a file without a name: they may be more than fit into memory.
Result<File> export_of(store::sql::Database& db, std::optional<std::int64_t> since_us) {
    File file(std::tmpfile());
    if (!file) {
        return fail(ErrorCode::kUnavailable, "no temporary file can be made",
                    "is there a folder /tmp with room?");
    }
    if (auto done = ledger::export_jsonl(db, since_us, file.get()); !done) {
        return fail(std::move(done.error()));
    }
    if (std::fseek(file.get(), 0, SEEK_SET) != 0) {
        return fail(ErrorCode::kUnavailable, "the temporary file cannot be read");
    }
    return file;
}

/// nullptr: there is no ledger.
Result<File> recorded_lines(const EstimateOptions& options, std::optional<std::int64_t> since_us) {
    const bool backtest = options.action == EstimateOptions::Action::kBacktest;
    const std::string& path = backtest && !options.file.empty() ? options.file : options.ledger;
    if (!path.empty()) {
        File file(path == "-" ? fdopen(dup(STDIN_FILENO), "rb") : std::fopen(path.c_str(), "rb"));
        if (!file) {
            return fail(ErrorCode::kConfig,
                        fmt::format("cannot read {}: {}", path, std::strerror(errno)));
        }
        return file;
    }
    const auto place = ledger_place_of(options.place);
    if (!place) return fail(place.error());
    ledger::replay_for_reader(place->state_dir, place->database, stderr);
    auto db = ledger::open_for_reading(place->state_dir, place->database);
    if (!db) return fail(std::move(db.error()));
    return *db ? export_of(**db, since_us) : File();
}

Result<std::optional<RecordedTraffic>> traffic(const EstimateOptions& options) {
    RecordedTraffic out;
    const auto since = moment("--since", options.since);
    const auto until = moment("--until", options.until);
    if (!since) return fail(since.error());
    if (!until) return fail(until.error());
    out.since_us = *since;
    out.until_us = *until;
    if (out.since_us && !out.until_us) out.until_us = unix_now_us();
    const auto lines = recorded_lines(options, out.since_us);
    if (!lines) return fail(lines.error());
    if (!*lines) return std::nullopt;
    auto recorded = lab::read_recorded(lines->get(), options.route);
    if (!recorded) return fail(std::move(recorded.error()));
    out.recorded = std::move(*recorded);
    std::erase_if(out.recorded.calls, [&](const lab::RecordedCall& call) {
        return (out.since_us && call.ts_us < *out.since_us) ||
               (out.until_us && call.ts_us >= *out.until_us);
    });
    return std::optional(std::move(out));
}

bool is_csv(const std::string& path) {
    return !path.ends_with(".jsonl") && !path.ends_with(".ndjson");
}

Result<lab::Scenario> read_request_file(const std::string& path, const EstimateOptions& options) {
    const auto body = read_input(path, kMostInputBytes);
    if (!body) return fail(body.error());
    std::optional<lab::Dialect> dialect;
    for (std::size_t i = 0; i < lab::kDialectNames.size(); ++i) {
        if (lab::kDialectNames[i] == options.dialect) dialect = static_cast<lab::Dialect>(i);
    }
    auto scenario = lab::read_request(*body, dialect);
    if (!scenario) scenario.error().message = path + ": " + scenario.error().message;
    return scenario;
}

}  // namespace

Result<EstimateSources> EstimateSources::open(const EstimateOptions& options) {
    EstimateSources out;
    PricesConfig used{.book = default_price_book()};
    const auto path = config_path_of(options.place);
    auto config = path ? load_config(*path) : Result<Config>(fail(path.error()));
    if (config) {
        out.config_ = std::move(*config);
        used = out.config_->prices;
        out.tokenizers_.use(*out.config_);
    } else if (!options.place.config.empty()) {
        return fail(std::move(config.error()));
    }
    if (const auto state = state_folder_of(options.place)) {
        if (auto taken = out.tokenizers_.use_state(*state); !taken) {
            return fail(std::move(taken.error()));
        }
    }
    auto book = load_price_book(used);
    if (!book) return fail(std::move(book.error()));
    out.book_ = std::move(*book);
    return out;
}

const lab::PricedModel& EstimateSources::model(const std::string& name) {
    const auto [it, fresh] = models_.try_emplace(name);
    lab::PricedModel& out = it->second;
    if (!fresh) return out;
    out.name = name;
    if (config_) {
        for (const ModelConfig& configured : config_->models) {
            if (configured.name != name) continue;
            out.prices = prices_of(*config_, configured, book_.get());
            if (!out.prices.sheets().empty()) {
                out.priced_as = configured.provider + "/" + name;
                return out;
            }
        }
    }
    if (book_ != nullptr) {
        const auto found = book_->named(name);
        if (found.model != nullptr && !found.model->sheets.empty()) {
            out.priced_as = found.provider->id + "/" + found.model->id;
            out.prices = prices::ModelPrices(found.model->sheets);
        }
    }
    return out;
}

std::string EstimateSources::book_text(std::int64_t now_s) const {
    if (book_ == nullptr) return {};
    const prices::BookInfo& info = book_->info();
    return fmt::format("{} of {} ({} days old)", info.name, prices::date_text(info.fetched_unix_s),
                       (now_s - info.fetched_unix_s) / 86'400);
}

Result<RecordedTraffic> read_traffic(const EstimateOptions& options) {
    auto found = traffic(options);
    if (!found) return fail(std::move(found.error()));
    if (!*found) {
        return fail(ErrorCode::kNotFound, "there is no ledger in the state folder",
                    "--state names the folder of a gateway that ran, --ledger a file of "
                    "`leeway ledger export --jsonl`");
    }
    return std::move(**found);
}

lab::Recorded traffic_if_any(const EstimateOptions& options) {
    EstimateOptions recent = options;
    if (recent.since.empty() && recent.ledger.empty()) recent.since = "7d";
    auto found = traffic(recent);
    return found && *found ? std::move((**found).recorded) : lab::Recorded();
}

Result<lab::Scenario> read_scenario_file(const std::string& path, const EstimateOptions& options) {
    return path.ends_with(".yaml") || path.ends_with(".yml") ? read_workload(path)
                                                             : read_request_file(path, options);
}

Result<lab::Scenario> read_scenario(const EstimateOptions& options, lab::Recorded& recorded) {
    const int asked = int{!options.file.empty()} + int{!options.prompt_template.empty()} +
                      int{!options.workload.empty()} + int{options.recorded};
    if (asked != 1) {
        return fail(ErrorCode::kConfig,
                    asked == 0 ? "there is nothing to estimate" : "only one thing at a time",
                    "name a request, --template with --rows, --workload or --recorded; `leeway "
                    "estimate --help` has examples");
    }
    if (options.recorded) {
        auto found = read_traffic(options);
        if (!found) return fail(std::move(found.error()));
        recorded = std::move(found->recorded);
        return lab::scenario_of(recorded, found->since_us, found->until_us);
    }
    recorded = traffic_if_any(options);
    if (!options.workload.empty()) return read_workload(options.workload);
    if (!options.prompt_template.empty()) {
        if (options.rows.empty()) {
            return fail(ErrorCode::kConfig, "a template needs rows", "--rows FILE.csv or .jsonl");
        }
        const auto text = read_input(options.prompt_template, kMostInputBytes);
        if (!text) return fail(text.error());
        const auto rows = read_input(options.rows, kMostInputBytes);
        if (!rows) return fail(rows.error());
        return lab::read_template(*text, *rows, is_csv(options.rows));
    }
    return read_request_file(options.file, options);
}

}  // namespace leeway::app
