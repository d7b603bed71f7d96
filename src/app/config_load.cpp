#include "app/config_cascade.hpp"
#include "app/config_controller.hpp"
#include "app/config_model.hpp"
#include "app/config_policies.hpp"
#include "app/config_reader.hpp"
#include "app/config_router.hpp"
#include "app/routes/route_stages.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "store/postgres/database.hpp"
#include "store/redis/client.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

namespace leeway::app {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kTiB = 1024 * kGiB;

void read_limits(Section section, LimitsConfig& out) {
    section.bytes("header_bytes", out.header_bytes, 1 * kKiB, 1 * kMiB);
    section.number("header_count", out.header_count, 8, 10'000);
    section.bytes("body_bytes", out.body_bytes, 1 * kKiB, 4 * kGiB);
    if (const auto memory = section.raw_scalar("body_memory"); !memory || memory->text != "auto")
        section.bytes("body_memory", out.body_memory, 1 * kMiB, 1 * kTiB);
    section.number("connections", out.connections, 1, 1'000'000);
    section.duration("header_timeout", out.header_timeout, milliseconds(1));
    section.duration("body_timeout", out.body_timeout, milliseconds(1));
    section.duration("idle_timeout", out.idle_timeout, milliseconds(1));
    section.duration("write_timeout", out.write_timeout, milliseconds(1));
    section.finish();
}

void read_address(ConfigSource& source, Section& section, std::string_view key, std::string& out) {
    section.text(key, out);
    if (const auto ok = parse_listen_address(out); !ok && section.has(key)) {
        source.error(section.mark(key), key, ok.error());
    }
}

void read_server(ConfigSource& source, Section section, ServerConfig& out) {
    read_address(source, section, "listen", out.listen);
    read_address(source, section, "admin", out.admin);
    const auto listen = parse_listen_address(out.listen);
    const auto admin = parse_listen_address(out.admin);
    if (listen && admin && *listen == *admin && (listen->port != 0 || listen->is_unix())) {
        source.error(section.mark("admin"), "'admin' must be another address than 'listen'");
    }
    if (admin && !is_this_machine(*admin)) {
        source.warning(section.mark("admin"),
                       "the admin port asks for no key, and this address can be reached from the "
                       "network");
    }
    if (const auto workers = section.raw_scalar("workers"); !workers || workers->text != "auto") {
        section.number("workers", out.workers, 1, 1024);
    }
    section.text("state", out.state);
    read_limits(section.section("limits"), out.limits);
    Section drain = section.section("drain");
    drain.duration("delay", out.drain_delay, milliseconds(0));
    drain.duration("timeout", out.drain_timeout, milliseconds(0));
    drain.finish();
    section.finish();
}

/// What a route asks besides the model that answers.
void read_doubles(ConfigSource& source, Section& section, RouteConfig& out, RouteMarks& marks) {
    Section hedge = section.section("hedge");
    const auto after = hedge.raw_scalar("after");
    out.hedge_at_p95 = after && after->text == "p95";
    if (!out.hedge_at_p95) hedge.duration("after", out.hedge_after, milliseconds(1));
    if (section.has("hedge") && !hedge.has("after"))
        source.error(section.mark("hedge"), "a hedge needs its time: `after: 2s` or `after: p95`");
    hedge.finish();
    Section shadow = section.section("shadow");
    shadow.text("model", out.shadow.model);
    read_share(source, shadow, "share", "1", 1'000'000, out.shadow.share_ppm);
    marks.shadow = section.has("shadow") ? shadow.mark("model") : section.mark();
    if (section.has("shadow") && !(shadow.has("model") && shadow.has("share")))
        source.error(section.mark("shadow"), "a shadow needs its `model` and its `share`");
    shadow.finish();
}

void read_route(ConfigSource& source, const PlacedText& name, Section& section, Draft& draft) {
    RouteConfig out;
    RouteMarks marks;
    marks.name = name.mark;
    out.name = name.text;
    section.text("model", out.model);
    section.text("baseline", out.baseline);
    marks.model = section.mark("model");
    marks.baseline = section.mark("baseline");
    read_route_cache(source, section, out, marks);
    read_stages(source, section, out);
    section.list("fallbacks", marks.fallbacks);
    for (const PlacedText& model : marks.fallbacks) out.fallbacks.push_back(model.text);
    read_share(source, section, "holdout", "0.5", 500'000, out.holdout_ppm);
    read_doubles(source, section, out, marks);
    using Keeping = pipeline::OutcomeKeeping;
    section.choice<Keeping>("outcomes", out.outcomes,
                            {{"off", Keeping::kOff},
                             {"on", Keeping::kOn},
                             {"embed", Keeping::kEmbed},
                             {"false", Keeping::kOff},
                             {"true", Keeping::kOn}});
    marks.outcomes = section.mark("outcomes");
    read_route_stages(source, section, out, marks);
    read_cascade(source, section, out, marks);
    read_router(source, section, out, marks);
    read_controller(source, section, out, marks);
    read_tier(source, section, out.tier, out.flex_wait, &out.gather);
    marks.tier = section.mark("tier");
    draft.route_marks.push_back(std::move(marks));
    draft.route_has_cache.push_back(section.has("cache"));
    draft.config.routes.push_back(std::move(out));
    section.finish();
}

void read_key(ConfigSource& source, Section& section, Draft& draft) {
    KeyConfig out;
    KeyMarks marks;
    marks.key = section.mark();
    section.text("name", out.name);
    if (!section.has("name")) {
        source.error(section.mark(), "a key needs a name (it stands in the ledger)");
    } else if (const auto ok = check_name(out.name); !ok && !out.name.empty()) {
        source.error(section.mark("name"), "name", ok.error());
    }
    const bool has_secret = section.secret("secret", out.secret);
    marks.secret = section.mark("secret");
    if (!section.has("secret")) {
        source.error(section.mark(), "a key needs a secret, such as secret: ${WEB_KEY}");
    } else if (has_secret && out.secret.expose().size() < 16) {
        source.error(marks.secret,
                     fmt::format("'secret' has {} characters; it needs at least 16 (make one: "
                                 "openssl rand -base64 32)",
                                 out.secret.expose().size()));
    }
    section.list("models", marks.models);
    section.list("routes", marks.routes);
    for (const PlacedText& model : marks.models) out.models.push_back(model.text);
    for (const PlacedText& route : marks.routes) out.routes.push_back(route.text);
    section.number("requests_per_minute", out.requests_per_minute, 0, 100'000'000);
    section.number("tokens_per_minute", out.tokens_per_minute, 0, 4'000'000'000);
    section.number("parallel", out.parallel, 0, 1'000'000);
    section.choice<bool>("on_disconnect", out.drains, {{"abort", false}, {"drain", true}});
    section.text("team", out.team);
    if (section.has("budget")) {
        read_key_budget(source, section, out.name, draft);
    } else {
        section.declare("budget");
    }
    section.date("expires", out.expires_unix_s);
    if (out.expires_unix_s && *out.expires_unix_s <= unix_now_s()) {
        source.warning(section.mark("expires"), fmt::format("key '{}' has expired", out.name));
    }
    section.finish();
    draft.key_marks.push_back(std::move(marks));
    draft.config.keys.push_back(std::move(out));
}

void read_database(ConfigSource& source, Section& ledger, LedgerConfig& out) {
    if (!ledger.secret("database", out.database) || out.database.empty()) return;
    if (const auto shown = store::postgres::display_name(out.database); !shown) {
        source.error(ledger.mark("database"), "database", shown.error());
    }
}

void read_rest(ConfigSource& source, Section& top, Config& config) {
    Section drains = top.section("drains");
    drains.number("parallel", config.drains.parallel, 0, 1'000'000);
    drains.duration("time", config.drains.time, milliseconds(1));
    drains.finish();

    Section idempotency = top.section("idempotency");
    idempotency.bytes("memory", config.idempotency.memory_bytes, 0, kTiB);
    idempotency.bytes("entry", config.idempotency.entry_bytes, 1 * kKiB, 1 * kGiB);
    idempotency.seconds("ttl", config.idempotency.ttl, std::chrono::seconds(1));
    idempotency.finish();

    Section cache = top.section("cache");
    cache.bytes("memory", config.cache.memory_bytes, 0, kTiB);
    cache.bytes("disk", config.cache.disk_bytes, 0, 1024 * kTiB);
    cache.bytes("entry", config.cache.entry_bytes, 1 * kKiB, 1 * kGiB);
    cache.seconds("ttl", config.cache.ttl, std::chrono::seconds(1));
    cache.number("questions", config.cache.questions, 1, 100'000'000);
    cache.finish();

    Section batches = top.section("batches");
    batches.duration("first_look", config.batches.first_look, std::chrono::milliseconds(10));
    batches.duration("longest_wait", config.batches.longest_wait, std::chrono::milliseconds(10));
    batches.seconds("grace", config.batches.grace, std::chrono::seconds(0));
    batches.finish();
    Section responses = top.section("responses");
    responses.on_off("store", config.responses.store);
    responses.seconds("retention", config.responses.retention, std::chrono::seconds(1));
    responses.bytes("disk", config.responses.disk_bytes, 1 * kMiB, 1024 * kTiB);
    responses.bytes("entry", config.responses.entry_bytes, 1 * kKiB, 1 * kGiB);
    responses.finish();

    Section outcomes = top.section("outcomes");
    outcomes.seconds("retention", config.outcomes.retention, std::chrono::seconds(1));
    outcomes.number("rows", config.outcomes.rows, 1, 100'000'000);
    outcomes.on_off("texts", config.outcomes.texts);
    outcomes.finish();

    Section ledger = top.section("ledger");
    ledger.on_off("enabled", config.ledger.enabled);
    read_database(source, ledger, config.ledger);
    ledger.choice<bool>("durability", config.ledger.full_durability,
                        {{"normal", false}, {"full", true}});
    ledger.number("retention_days", config.ledger.retention_days, 0, 36'500);
    ledger.finish();

    Section prices = top.section("prices");
    prices.text("book", config.prices.book);
    config.prices.book_named = prices.has("book");
    prices.text("overlay", config.prices.overlay);
    prices.finish();

    Section log = top.section("log");
    log.choice<std::string>(
        "level", config.log.level,
        {{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}});
    log.choice<std::string>("format", config.log.format, {{"text", "text"}, {"json", "json"}});
    log.finish();

    Section local = top.section("local");
    local.text("folder", config.local.folder);
    local.number("threads", config.local.threads, 1, 1024);
    local.number("parallel", config.local.parallel, 1, 256);
    local.number("context", config.local.context, 128, 1'048'576);
    local.bytes("memory", config.local.memory_bytes, 64 * kMiB, kTiB);
    local.finish();
}

ConfigReading read_draft(ConfigSource& source, const std::string& text, const std::string& name) {
    Draft draft;
    draft.config.path = name;
    if (const auto root = source.parse(text)) {
        YAML::Mark start;
        start.line = 0;
        start.column = 0;
        Section top(source, *root, std::string(), start);
        read_server(source, top.section("server"), draft.config.server);
        Section providers = top.section("providers");
        for (auto& [named, section] : providers.named_sections()) {
            read_provider(source, named, section, draft);
        }
        Section models = top.section("models");
        for (auto& [named, section] : models.named_sections()) {
            read_model(source, named, section, draft);
        }
        read_tokenizers(source, top, draft);
        Section routes = top.section("routes");
        for (auto& [named, section] : routes.named_sections()) {
            read_route(source, named, section, draft);
        }
        for (Section& section : top.list_of_sections("keys")) read_key(source, section, draft);
        read_budgets(source, top, draft);
        read_rate_limits(source, top, draft);
        read_webhook(source, top, draft);
        if (top.secret("budget_leases", draft.config.budget_leases) &&
            !draft.config.budget_leases.empty()) {
            const auto address = store::redis::parse_address(draft.config.budget_leases);
            if (!address) source.error(top.mark("budget_leases"), "budget_leases", address.error());
        }
        read_embeddings(source, top, draft);
        read_policies(source, top, draft.config.policies);
        read_rest(source, top, draft.config);
        top.finish();
        fill_paths(draft.config);
        check_draft(source, draft);
    }
    ConfigReading out;
    const bool ok = !source.has_errors();
    out.problems = source.take_problems();
    if (ok) {
        draft.config.warnings = out.problems;
        out.config = std::move(draft.config);
    }
    return out;
}

Result<std::string> read_text_file(const std::string& path) {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) {
        return fail(ErrorCode::kConfig,
                    fmt::format("cannot be read: {}", std::generic_category().message(errno)),
                    "give another with --config FILE");
    }
    if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) {
        return fail(ErrorCode::kConfig, "is not a file", "give one with --config FILE");
    }
    std::ifstream file(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!file.is_open() || file.bad()) {
        return fail(ErrorCode::kConfig, "cannot be read", "check its permissions");
    }
    return text;
}

/// What commands need that must work where the variables of a running gateway are not set.
Result<LedgerPlace> read_place(const std::string& path, bool with_database) {
    const auto text = read_text_file(path);
    if (!text) {
        return fail(ErrorCode::kConfig, fmt::format("{}: {}", path, text.error().message),
                    "or name the state folder with --state DIR");
    }
    Draft draft;
    draft.config.path = path;
    ConfigSource source(path);
    try {
        const auto root = source.parse(*text);
        if (root && root->IsMap()) {
            Section server(source, (*root)["server"], "server", YAML::Mark());
            server.text("state", draft.config.server.state);
            if (with_database) {
                Section ledger(source, (*root)["ledger"], "ledger", YAML::Mark());
                read_database(source, ledger, draft.config.ledger);
            }
        }
    } catch (const YAML::Exception& exception) {
        source.error(exception.mark, exception.msg);
    }
    const std::vector<ConfigProblem> problems = source.take_problems();
    if (!problems.empty()) {
        return fail(ErrorCode::kConfig, problems.front().text(),
                    "or name the state folder with --state DIR");
    }
    fill_paths(draft.config);
    return LedgerPlace{draft.config.server.state, draft.config.ledger.database};
}

Result<Config> to_result(ConfigReading reading) {
    if (reading.config) return std::move(*reading.config);
    std::string lines;
    for (const ConfigProblem& problem : reading.problems) {
        if (!problem.is_error) continue;
        if (!lines.empty()) lines += '\n';
        lines += problem.text();
    }
    return fail(ErrorCode::kConfig, std::move(lines));
}

}  // namespace

ConfigReading read_config_text(const std::string& text, const std::string& name) {
    ConfigSource source(name);
    try {
        return read_draft(source, text, name);
    } catch (const YAML::Exception& exception) {
        // No access above should reach this; yaml-cpp throws on any wrong type.
        source.error(exception.mark, exception.msg);
        return {std::nullopt, source.take_problems()};
    }
}

ConfigReading read_config_file(const std::string& path) {
    const auto text = read_text_file(path);
    if (text) return read_config_text(*text, path);
    ConfigProblem problem;
    problem.file = path;
    problem.message = text.error().text();
    return {std::nullopt, {std::move(problem)}};
}

Result<Config> load_config(const std::string& path) { return to_result(read_config_file(path)); }

Result<Config> parse_config(const std::string& text, const std::string& name) {
    return to_result(read_config_text(text, name));
}

Result<std::string> read_state_folder(const std::string& path) {
    auto place = read_place(path, false);
    if (!place) return fail(std::move(place.error()));
    return std::move(place->state_dir);
}

Result<LedgerPlace> read_ledger_place(const std::string& path) { return read_place(path, true); }

}  // namespace leeway::app
