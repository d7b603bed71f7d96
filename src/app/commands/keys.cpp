#include "app/commands.hpp"
#include "app/config_values.hpp"
#include "app/key_store.hpp"
#include "app/terminal.hpp"
#include "base/clock.hpp"
#include "base/strings.hpp"
#include "json/write.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace leeway::app {
namespace {

using guard::auth::KeySpec;

Result<KeyStore> open_store(const PlaceOptions& place) {
    const auto state = state_folder_of(place);
    return state ? KeyStore::open(*state) : Result<KeyStore>(fail(state.error()));
}

/// The configuration when it can be read as a whole; the key commands must work without it too.
std::optional<Config> config_if_readable(const PlaceOptions& place) {
    const auto path = config_path_of(place);
    return path ? read_config_file(*path).config : std::nullopt;
}

Result<std::optional<std::int64_t>> parse_expiry(const std::string& text) {
    if (text.empty()) return std::optional<std::int64_t>();
    if (const auto date = parse_date(text)) {
        if (*date > unix_now_s()) return std::optional(*date);
        return fail(ErrorCode::kConfig, fmt::format("--expires: '{}' has passed already", text));
    }
    const auto span = parse_duration(text);
    if (!span || span->count() < 1000) {
        return fail(ErrorCode::kConfig,
                    fmt::format("--expires: '{}' is neither a date nor a duration", text),
                    "write 2027-01-31, 2027-01-31T08:30:00Z, or a time from now such as 90d");
    }
    return std::optional(unix_now_s() + span->count() / 1000);
}

template <class T>
Result<void> check_known(std::string_view what, const std::vector<std::string>& wanted,
                         const std::vector<T>& items) {
    std::vector<std::string> names;
    names.reserve(items.size());
    for (const T& item : items) names.push_back(item.name);
    for (const std::string& name : wanted) {
        if (std::find(names.begin(), names.end(), name) != names.end()) continue;
        const auto near = nearest(name, names);
        return fail(ErrorCode::kConfig, fmt::format("the configuration has no {} '{}'", what, name),
                    near ? fmt::format("did you mean '{}'?", *near)
                         : fmt::format("it has: {}", fmt::join(names, ", ")));
    }
    return {};
}

Result<KeySpec> spec_of(const KeysCreateOptions& options) {
    if (auto ok = check_name(options.name); !ok) return fail(ok.error());
    for (const auto* list : {&options.models, &options.routes}) {
        for (const std::string& name : *list) {
            if (auto ok = check_name(name); !ok) return fail(ok.error());
        }
    }
    const auto expires = parse_expiry(options.expires);
    if (!expires) return fail(expires.error());
    if (const auto config = config_if_readable(options.place)) {
        auto ok = check_known("model", options.models, config->models);
        if (ok) ok = check_known("route", options.routes, config->routes);
        if (!ok) return fail(ok.error());
        for (const KeyConfig& key : config->keys) {
            if (key.name != options.name) continue;
            return fail(ErrorCode::kConfig,
                        fmt::format("the configuration file has a key '{}' already", key.name),
                        "choose another name");
        }
    }
    KeySpec spec;
    spec.name = options.name;
    spec.models = options.models;
    spec.routes = options.routes;
    spec.requests_per_minute = options.requests_per_minute;
    spec.expires_unix_s = *expires;
    return spec;
}

/// The secret alone on standard output, so that KEY=$(leeway keys create web) works; what to know
/// about it on standard error.
int print_secret(const std::string& name, const Secret& secret, bool json,
                 const std::string& note) {
    std::string out;
    if (json) {
        json::Writer(out)
            .object()
            .key("name")
            .string(name)
            .key("secret")
            .string(secret.expose())
            .close_object();
    } else {
        fmt::print(stderr, "{}\n", note);
        out = secret.expose();
    }
    return print_out(out + "\n");
}

struct Listed {
    KeySpec spec;
    bool in_file = false;
    std::int64_t created_unix_s = 0;
    std::size_t secrets = 1;

    [[nodiscard]] std::string_view state(std::int64_t now) const {
        if (spec.revoked) return "revoked";
        return spec.expires_unix_s && *spec.expires_unix_s <= now ? "expired" : "active";
    }
};

Result<std::vector<Listed>> collect(const PlaceOptions& place, std::int64_t now) {
    auto store = open_store(place);
    if (!store) return fail(store.error());
    auto stored = store->list();
    if (!stored) return fail(stored.error());
    std::vector<Listed> out;
    if (const auto config = config_if_readable(place)) {
        for (const KeyConfig& key : config->keys) {
            Listed listed;
            listed.in_file = true;
            listed.spec.name = key.name;
            listed.spec.models = key.models;
            listed.spec.routes = key.routes;
            listed.spec.requests_per_minute = key.requests_per_minute;
            listed.spec.expires_unix_s = key.expires_unix_s;
            out.push_back(std::move(listed));
        }
    }
    for (StoredKey& key : *stored) {
        Listed listed;
        listed.created_unix_s = key.created_unix_s;
        listed.secrets = static_cast<std::size_t>(std::count_if(
            key.credentials.begin(), key.credentials.end(), [&](const auto& credential) {
                return !credential.valid_until_unix_s || *credential.valid_until_unix_s > now;
            }));
        listed.spec = std::move(key.spec);
        out.push_back(std::move(listed));
    }
    return out;
}

std::string list_as_json(const std::vector<Listed>& keys, std::int64_t now) {
    std::string out;
    json::Writer writer(out);
    const auto names = [&](std::string_view key, const std::vector<std::string>& list) {
        writer.key(key).array();
        for (const std::string& name : list) writer.string(name);
        writer.close_array();
    };
    writer.object().key("keys").array();
    for (const Listed& key : keys) {
        writer.object().key("name").string(key.spec.name);
        writer.key("state").string(key.state(now));
        writer.key("source").string(key.in_file ? "file" : "store");
        names("models", key.spec.models);
        names("routes", key.spec.routes);
        writer.key("requests_per_minute").integer(key.spec.requests_per_minute);
        writer.key("expires");
        if (key.spec.expires_unix_s) {
            writer.string(format_date(*key.spec.expires_unix_s));
        } else {
            writer.null();
        }
        writer.key("created");
        if (key.in_file) {
            writer.null();
        } else {
            writer.string(format_date(key.created_unix_s));
        }
        writer.key("valid_secrets").integer(static_cast<std::int64_t>(key.secrets));
        writer.close_object();
    }
    writer.close_array().close_object();
    return out + "\n";
}

std::string list_as_table(const std::vector<Listed>& keys, std::int64_t now) {
    if (keys.empty()) {
        return "no keys: callers on this machine need none (make one: leeway keys create NAME)\n";
    }
    using Row = std::array<std::string, 7>;
    const auto names = [](const std::vector<std::string>& list) {
        return list.empty() ? std::string("all") : fmt::format("{}", fmt::join(list, ","));
    };
    std::vector<Row> rows{
        {"NAME", "STATE", "PER MINUTE", "EXPIRES", "CREATED", "MODELS", "ROUTES"}};
    for (const Listed& key : keys) {
        const std::uint32_t limit = key.spec.requests_per_minute;
        rows.push_back(
            {key.spec.name,
             key.secrets > 1 ? fmt::format("{} (rotating)", key.state(now))
                             : std::string(key.state(now)),
             limit == 0 ? std::string("no limit") : fmt::format("{}", limit),
             key.spec.expires_unix_s ? format_date(*key.spec.expires_unix_s) : std::string("never"),
             key.in_file ? std::string("in the file") : format_date(key.created_unix_s),
             names(key.spec.models), names(key.spec.routes)});
    }
    std::array<std::size_t, 7> widths{};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += fmt::format("{:<{}}  ", row[i], widths[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        const bool heading = &row == &rows.front();
        out += coloured(line, Colour::kBold, heading && wants_colour(stdout)) + "\n";
    }
    return out;
}

}  // namespace

int run_keys_create(const KeysCreateOptions& options) {
    const auto spec = spec_of(options);
    if (!spec) return report_failure(spec.error());
    auto store = open_store(options.place);
    if (!store) return report_failure(store.error());
    const auto secret = store->create(*spec, unix_now_s());
    if (!secret) return report_failure(secret.error());
    return print_secret(
        options.name, *secret, options.json,
        fmt::format("Key '{}' is made. Keep its secret: it is not shown again.", options.name));
}

int run_keys_list(const KeysListOptions& options) {
    const std::int64_t now = unix_now_s();
    const auto keys = collect(options.place, now);
    if (!keys) return report_failure(keys.error());
    const auto path = config_path_of(options.place);
    if (path && !config_if_readable(options.place)) {
        fmt::print(stderr,
                   "leeway: note: {} cannot be used as it is, so keys in it are not shown "
                   "(see `leeway check`)\n",
                   *path);
    }
    return print_out(options.json ? list_as_json(*keys, now) : list_as_table(*keys, now));
}

int run_keys_revoke(const KeysRevokeOptions& options) {
    auto store = open_store(options.place);
    if (!store) return report_failure(store.error());
    if (const auto done = store->revoke(options.name, unix_now_s()); !done) {
        Error error = done.error();
        if (const auto config = config_if_readable(options.place)) {
            const auto same = [&](const KeyConfig& key) {
                return key.name == options.name;
            };
            if (std::any_of(config->keys.begin(), config->keys.end(), same)) {
                error.hint =
                    fmt::format("'{}' stands in {}: remove it there", options.name, config->path);
            }
        }
        return report_failure(error);
    }
    if (!options.json) {
        return print_out(fmt::format("Key '{}' is revoked.\n", options.name));
    }
    std::string out;
    json::Writer(out)
        .object()
        .key("name")
        .string(options.name)
        .key("revoked")
        .boolean(true)
        .close_object();
    return print_out(out + "\n");
}

int run_keys_rotate(const KeysRotateOptions& options) {
    const auto overlap = parse_duration(options.overlap);
    if (!overlap) {
        return report_failure({ErrorCode::kConfig,
                               "--overlap: " + overlap.error().message,
                               overlap.error().hint,
                               {},
                               {}});
    }
    auto store = open_store(options.place);
    if (!store) return report_failure(store.error());
    const std::int64_t now = unix_now_s();
    const std::int64_t overlap_s = overlap->count() / 1000;
    const auto secret = store->rotate(options.name, overlap_s, now);
    if (!secret) return report_failure(secret.error());
    return print_secret(
        options.name, *secret, options.json,
        fmt::format("Key '{}' has a new secret; the old one ends {}. It is not shown again.",
                    options.name, overlap_s == 0 ? "now" : "at " + format_date(now + overlap_s)));
}

}  // namespace leeway::app
