#include "app/commands.hpp"
#include "app/price_layers.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "json/write.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace leeway::app {
namespace {

using prices::Bucket;
using prices::RateSheet;

constexpr std::int64_t kDay = 86'400;

/// A price and whose it is.
struct Line {
    std::string provider;
    std::string model;  ///< our name or the book's
    std::string book_model;  ///< what the book calls it; empty: not from the book
    const RateSheet* sheet = nullptr;  ///< null: unknown
};

std::string usd(std::optional<FemtoUsdPerUnit> rate, std::int64_t units = 1000) {
    return rate ? to_usd_string(Int128{rate->value()} * units) : std::string("-");
}

/// Everything that has no column of its own, in words. What is counted by the piece is per thousand.
std::string other_rates(const prices::Rates& rates) {
    std::string out;
    for (const prices::BucketInfo& info : prices::kBuckets) {
        const auto rate = rates[info.bucket];
        const bool shown = info.bucket == Bucket::kInput || info.bucket == Bucket::kCachedInput ||
                           info.bucket == Bucket::kCacheWrite || info.bucket == Bucket::kOutput;
        if (!rate || shown) continue;
        if (!out.empty()) out += ", ";
        out += prices::is_tokens(info.kind) ? fmt::format("{} {}", info.name, usd(rate))
                                            : fmt::format("{} {}/1000", info.name, usd(rate, 1));
    }
    return out.empty() ? "-" : out;
}

/// Conditions besides tier and region, which have their columns.
std::string when_text(const RateSheet& sheet) {
    RateSheet rest = sheet;
    rest.tier = prices::Tier::kStandard;
    rest.region.clear();
    const std::string text = prices::conditions_text(rest);
    return text.empty() ? "always" : text;
}

std::vector<std::string> cells(const Line& line) {
    if (line.sheet == nullptr) {
        return {line.provider, line.model, "-", "-", "unknown", "-", "-", "unknown", "-", "-", "-"};
    }
    const RateSheet& sheet = *line.sheet;
    std::vector<std::string> out{line.provider, line.model, std::string(to_string(sheet.tier)),
                                 sheet.region.empty() ? "-" : sheet.region};
    if (sheet.machine_hour >= 0) {
        out.insert(out.end(),
                   {"-", "-", "-", "-",
                    fmt::format("{} USD per machine-hour, shared by {}",
                                to_usd_string(PicoUsd(sheet.machine_hour)), sheet.machine_share)});
    } else {
        const prices::Rates& rates = sheet.rates;
        out.insert(out.end(), {usd(rates[Bucket::kInput]), usd(rates[Bucket::kCachedInput]),
                               usd(rates[Bucket::kCacheWrite]), usd(rates[Bucket::kOutput]),
                               other_rates(rates)});
    }
    out.push_back(when_text(sheet));
    out.push_back(sheet.source.empty() ? "-"
                                       : fmt::format("{} ({})", sheet.source, sheet.confidence));
    return out;
}

void write_json(json::Writer& out, const Line& line) {
    out.object().key("provider").string(line.provider).key("model").string(line.model);
    out.key("book_model");
    line.book_model.empty() ? out.null() : out.string(line.book_model);
    if (line.sheet == nullptr) {
        out.key("known").boolean(false).close_object();
        return;
    }
    const RateSheet& sheet = *line.sheet;
    out.key("known").boolean(true);
    out.key("price_id").string(fmt::format("{:016x}", sheet.id));
    out.key("tier").string(to_string(sheet.tier));
    const auto optional_text = [&](const char* key, const std::string& text) {
        out.key(key);
        text.empty() ? out.null() : out.string(text);
    };
    optional_text("region", sheet.region);
    out.key("above_input_tokens");
    sheet.above < 0 ? out.null() : out.integer(sheet.above);
    optional_text("valid_from", sheet.valid_from == prices::kBeginning
                                    ? ""
                                    : prices::date_text(sheet.valid_from));
    optional_text("valid_to",
                  sheet.valid_to == prices::kForever ? "" : prices::date_text(sheet.valid_to));
    out.key("time_of_day_utc");
    if (sheet.whole_day()) {
        out.null();
    } else {
        out.array().integer(sheet.day_from).integer(sheet.day_to).close_array();
    }
    if (sheet.machine_hour >= 0) {
        out.key("usd_per_machine_hour").string(to_usd_string(PicoUsd(sheet.machine_hour)));
        out.key("machine_share").integer(sheet.machine_share);
    }
    out.key("usd_per_million").object();
    for (const prices::BucketInfo& info : prices::kBuckets) {
        if (const auto rate = sheet.rates[info.bucket]) out.key(info.name).string(usd(rate));
    }
    out.close_object();
    optional_text("source", sheet.source);
    optional_text("confidence", sheet.confidence);
    out.close_object();
}

struct Lines {
    std::vector<Line> lines;
    std::vector<std::shared_ptr<const prices::ModelPrices>> keep;  // what the lines point into
};

/// When a price must hold to be shown.
struct When {
    bool all = false;
    std::int64_t unix_s = 0;
    [[nodiscard]] bool shows(const RateSheet& sheet) const {
        return all || (unix_s >= sheet.valid_from && unix_s < sheet.valid_to);
    }
};

void add_lines(Lines& out, const std::string& provider, const std::string& model,
               const std::string& book_model, const std::vector<RateSheet>& sheets,
               const When& when) {
    bool any = false;
    for (const RateSheet& sheet : sheets) {
        if (!when.shows(sheet)) continue;
        out.lines.push_back({provider, model, book_model, &sheet});
        any = true;
    }
    if (!any) out.lines.push_back({provider, model, book_model, nullptr});
}

Lines lines_of_config(const Config& config, const prices::PriceBook* book, const When& when) {
    Lines out;
    for (const ModelConfig& model : config.models) {
        const auto& prices = out.keep.emplace_back(
            std::make_shared<const prices::ModelPrices>(prices_of(config, model, book)));
        const auto found =
            model.price.empty() ? book_entry(config, model, book) : prices::PriceBook::Found{};
        add_lines(out, model.provider, model.name,
                  found.model == nullptr ? "" : found.provider->id + "/" + found.model->id,
                  prices->sheets(), when);
    }
    return out;
}

std::string book_line(const prices::PriceBook* book, const PricesConfig& config,
                      std::int64_t now_s) {
    if (book == nullptr) {
        return "No price book: ./run makes one, or name a file with `prices: {book: FILE}`.\n";
    }
    const prices::BookInfo& info = book->info();
    std::string out =
        fmt::format("\nUSD per million tokens. Price book: {} of {} ({} days old), {} models, {}",
                    info.name, prices::date_text(info.fetched_unix_s),
                    (now_s - info.fetched_unix_s) / kDay, info.models, info.licence);
    if (!config.overlay.empty()) out += fmt::format("; corrected by {}", config.overlay);
    return out + "\n";
}

int show(const PricesOptions& options) {
    const std::int64_t now_s = unix_now_s();
    When when{options.at == "all", now_s};
    if (!options.at.empty() && !when.all) {
        const auto day = prices::parse_day(options.at);
        if (!day) {
            return report_failure(Error{ErrorCode::kConfig,
                                        "'" + options.at + "' is not a date",
                                        "write 2026-01-31, or all",
                                        {},
                                        {}});
        }
        when.unix_s = *day;
    }
    const auto path = config_path_of(options.place);
    if (!path) return report_failure(path.error());
    const auto config = load_config(*path);
    if (!config) return report_failure(config.error());
    const auto book = load_price_book(config->prices);
    if (!book) return report_failure(book.error());
    Lines found;
    if (options.model.empty()) {
        found = lines_of_config(*config, book->get(), when);
    } else {
        Lines ours = lines_of_config(*config, book->get(), when);
        found.keep = std::move(ours.keep);
        for (const Line& line : ours.lines) {
            if (line.model == options.model) found.lines.push_back(line);
        }
        if (*book) {
            for (const auto& [provider, model] : (*book)->search(options.model)) {
                add_lines(found, provider->id, model->id, provider->id + "/" + model->id,
                          model->sheets, when);
            }
        }
    }
    if (options.json) {
        std::string text;
        json::Writer out(text);
        out.object().key("book");
        if (*book) {
            const prices::BookInfo& info = (*book)->info();
            out.object().key("name").string(info.name).key("source").string(info.source);
            out.key("licence").string(info.licence);
            out.key("date").string(prices::date_text(info.fetched_unix_s));
            out.key("age_days").integer((now_s - info.fetched_unix_s) / kDay);
            out.key("models").integer(static_cast<std::int64_t>(info.models));
            out.key("rates").integer(static_cast<std::int64_t>(info.rates)).close_object();
        } else {
            out.null();
        }
        out.key("prices").array();
        for (const Line& line : found.lines) write_json(out, line);
        out.close_array().close_object();
        const int written = print_out(text + "\n");
        return written != 0 || found.lines.empty() ? 1 : 0;
    }
    if (found.lines.empty()) {
        const std::string hint = *book ? "`leeway prices PART` finds names by a part of them"
                                       : "there is no price book: ./run makes one";
        return report_failure(Error{
            ErrorCode::kNotFound, "no price is known for '" + options.model + "'", hint, {}, {}});
    }
    std::vector<std::vector<std::string>> rows{{"PROVIDER", "MODEL", "TIER", "REGION", "INPUT",
                                                "CACHED", "WRITTEN", "OUTPUT", "OTHER", "WHEN",
                                                "SOURCE"}};
    for (const Line& line : found.lines) rows.push_back(cells(line));
    return print_out(table(rows) + book_line(book->get(), config->prices, now_s));
}

std::string_view kind_text(prices::BookChange::Kind kind) {
    switch (kind) {
        case prices::BookChange::Kind::kAdded: return "added";
        case prices::BookChange::Kind::kRemoved: return "removed";
        case prices::BookChange::Kind::kChanged: return "changed";
    }
    return "changed";
}

int diff(const PricesOptions& options) {
    const auto before = read_price_book(options.file);
    if (!before) return report_failure(before.error());
    const auto after = read_price_book(options.other);
    if (!after) return report_failure(after.error());
    const auto changes = prices::diff_books(**before, **after);
    std::string text;
    if (options.json) {
        json::Writer out(text);
        out.object()
            .key("old")
            .string((*before)->info().name)
            .key("new")
            .string((*after)->info().name);
        out.key("changes").array();
        for (const prices::BookChange& change : changes) {
            out.object().key("kind").string(kind_text(change.kind));
            out.key("provider").string(change.provider).key("model").string(change.model);
            if (change.kind == prices::BookChange::Kind::kChanged) {
                out.key("condition").string(change.condition);
                out.key("unit").string(to_string(change.bucket));
                out.key("old_usd_per_million");
                change.before ? out.string(usd(change.before)) : out.null();
                out.key("new_usd_per_million");
                change.after ? out.string(usd(change.after)) : out.null();
            }
            out.close_object();
        }
        out.close_array().close_object();
        text += '\n';
    } else {
        for (const prices::BookChange& change : changes) {
            text += fmt::format("{}/{}", change.provider, change.model);
            if (change.kind != prices::BookChange::Kind::kChanged) {
                text += fmt::format(": {}\n", kind_text(change.kind));
                continue;
            }
            if (!change.condition.empty()) text += fmt::format(" ({})", change.condition);
            text += fmt::format(": {} {} -> {}\n", to_string(change.bucket), usd(change.before),
                                usd(change.after));
        }
        text += fmt::format("{} {} -> {}: {} changes\n",
                            changes.empty() ? "same:" : "differ:", (*before)->info().name,
                            (*after)->info().name, changes.size());
    }
    return print_out(text) != 0 || !changes.empty() ? 1 : 0;
}

int check(const PricesOptions& options) {
    PricesConfig used;
    std::vector<std::string> problems;
    if (const auto path = config_path_of(options.place)) {
        const auto config = load_config(*path);
        if (config) used = config->prices;
        if (!config && options.file.empty()) return report_failure(config.error());
    }
    const std::string file = options.file.empty() ? used.book : options.file;
    if (file.empty()) {
        return report_failure(
            Error{ErrorCode::kConfig, "there is no price book to check", "name a file", {}, {}});
    }
    auto book = read_price_book(file);
    if (!book) problems.push_back(book.error().message);
    if (book && !used.overlay.empty()) {
        PricesConfig with_overlay = used;
        with_overlay.book = file;
        if (const auto both = load_price_book(with_overlay); !both) {
            problems.push_back(both.error().message);
        }
    }
    if (book && !options.file.empty() && !used.book.empty() && used.book != file) {
        if (const auto old = read_price_book(used.book)) {
            for (std::string& doubt : prices::check_successor(**old, **book)) {
                problems.push_back(std::move(doubt));
            }
        }
    }
    std::string text;
    if (options.json) {
        json::Writer out(text);
        out.object().key("file").string(file).key("ok").boolean(problems.empty());
        out.key("problems").array();
        for (const std::string& problem : problems) out.string(problem);
        out.close_array();
        if (book) out.key("rates").integer(static_cast<std::int64_t>((*book)->info().rates));
        out.close_object();
        text += '\n';
    } else {
        for (const std::string& problem : problems) {
            text += fmt::format("{} {}\n", coloured("error:", Colour::kRed, wants_colour(stdout)),
                                problem);
        }
        if (problems.empty()) {
            const prices::BookInfo& info = (*book)->info();
            text = fmt::format("{}: {} ({}, {} models, {} rates)\n", file,
                               coloured("ok", Colour::kGreen, wants_colour(stdout)), info.name,
                               info.models, info.rates);
        }
    }
    return print_out(text) != 0 || !problems.empty() ? 1 : 0;
}

}  // namespace

int run_prices(const PricesOptions& options) {
    telemetry::start_log("error", false);
    switch (options.action) {
        case PricesOptions::Action::kShow: return show(options);
        case PricesOptions::Action::kDiff: return diff(options);
        case PricesOptions::Action::kCheck: return check(options);
    }
    return 1;
}

}  // namespace leeway::app
