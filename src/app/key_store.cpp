#include "app/key_store.hpp"

#include "app/pepper.hpp"
#include "base/strings.hpp"
#include "store/migrations.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace leeway::app {
namespace {

using guard::auth::Credential;
using guard::auth::KeyEntry;
using guard::auth::KeySpec;
using store::sqlite::Database;
using store::sqlite::Transaction;

// Lists are names joined by line breaks; a name holds none.
constexpr std::array<store::Migration, 1> kMigrations{{{1, R"sql(
CREATE TABLE key (
    name                TEXT    NOT NULL PRIMARY KEY,
    models              TEXT    NOT NULL,
    routes              TEXT    NOT NULL,
    requests_per_minute INTEGER NOT NULL,
    expires_unix_s      INTEGER,
    created_unix_s      INTEGER NOT NULL,
    revoked_unix_s      INTEGER
) STRICT;
CREATE TABLE secret (
    mac                BLOB    NOT NULL PRIMARY KEY,
    key                TEXT    NOT NULL REFERENCES key (name),
    number             INTEGER NOT NULL,
    created_unix_s     INTEGER NOT NULL,
    valid_until_unix_s INTEGER
) STRICT;
)sql"}}};

std::string database_path(const std::string& state_folder) { return state_folder + "/keys.db"; }

Result<std::vector<Credential>> credentials_of(Database& db, const std::string& name) {
    auto query =
        db.prepare("SELECT mac, valid_until_unix_s FROM secret WHERE key = ? ORDER BY number DESC");
    if (!query) return fail(query.error());
    query->bind(1, std::string_view(name));
    std::vector<Credential> out;
    for (;;) {
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        Credential credential;
        const auto mac = query->blob(0);
        if (mac.size() != credential.mac.size()) {
            return fail(ErrorCode::kInternal, fmt::format("{} is damaged", db.path()));
        }
        std::copy(mac.begin(), mac.end(), credential.mac.begin());
        credential.valid_until_unix_s = query->optional_int64(1);
        out.push_back(credential);
    }
}

}  // namespace

Result<KeyStore> KeyStore::open(const std::string& state_folder) {
    if (auto made = make_private_folder(state_folder); !made) return fail(made.error());
    auto db = Database::open(database_path(state_folder));
    if (!db) return fail(db.error());
    if (auto ok = store::migrate(*db, "keys", kMigrations); !ok) return fail(ok.error());
    const auto count = db->query_int("SELECT count(*) FROM key");
    if (!count) return fail(count.error());
    auto pepper = load_pepper(state_folder, count->value_or(0) == 0);
    if (!pepper) return fail(pepper.error());
    return KeyStore(std::move(*db), std::move(*pepper));
}

Result<std::vector<StoredKey>> KeyStore::list() {
    auto snapshot = Transaction::begin_read(db_);
    if (!snapshot) return fail(snapshot.error());
    return read_all();
}

Result<std::vector<StoredKey>> KeyStore::read_all() {
    auto query = db_.prepare(
        "SELECT name, models, routes, requests_per_minute, expires_unix_s, created_unix_s, "
        "revoked_unix_s FROM key ORDER BY name");
    if (!query) return fail(query.error());
    std::vector<StoredKey> out;
    for (;;) {
        const auto row = query->step();
        if (!row) return fail(row.error());
        if (!*row) return out;
        StoredKey key;
        key.spec.name = query->text(0);
        key.spec.models = split_lines(query->text(1));
        key.spec.routes = split_lines(query->text(2));
        key.spec.requests_per_minute = static_cast<std::uint32_t>(query->int64(3));
        key.spec.expires_unix_s = query->optional_int64(4);
        key.created_unix_s = query->int64(5);
        key.revoked_unix_s = query->optional_int64(6);
        key.spec.revoked = key.revoked_unix_s.has_value();
        auto credentials = credentials_of(db_, key.spec.name);
        if (!credentials) return fail(credentials.error());
        key.credentials = std::move(*credentials);
        out.push_back(std::move(key));
    }
}

Result<StoredKey> KeyStore::find(const std::string& name) {
    auto keys = read_all();
    if (!keys) return fail(keys.error());
    std::vector<std::string> names;
    for (StoredKey& key : *keys) {
        if (key.spec.name == name) return std::move(key);
        names.push_back(key.spec.name);
    }
    const auto near = nearest(name, names);
    return fail(ErrorCode::kNotFound, fmt::format("there is no stored key '{}'", name),
                near ? fmt::format("did you mean '{}'?", *near) : "`leeway keys list` shows them");
}

Result<Secret> KeyStore::add_secret(const std::string& name, std::int64_t now) {
    Secret secret = guard::auth::new_key_secret();
    const Sha256 mac = guard::auth::key_mac(pepper_, secret.expose());
    auto insert = db_.prepare(
        "INSERT INTO secret (mac, key, number, created_unix_s) VALUES (?, ?, "
        "(SELECT coalesce(max(number), 0) + 1 FROM secret WHERE key = ?2), ?)");
    if (!insert) return fail(insert.error());
    insert->bind_blob(1, mac).bind(2, std::string_view(name)).bind(3, now);
    if (auto done = insert->run(); !done) return fail(done.error());
    return secret;
}

Result<Secret> KeyStore::create(const KeySpec& spec, std::int64_t now) {
    auto transaction = Transaction::begin(db_);
    if (!transaction) return fail(transaction.error());
    if (const auto old = find(spec.name)) {
        return fail(
            ErrorCode::kInvalidRequest,
            fmt::format("there {} a key '{}'", old->spec.revoked ? "was" : "is already", spec.name),
            old->spec.revoked ? "choose another name, so that the ledger tells them apart"
                              : "`leeway keys rotate` gives it a new secret");
    } else if (old.error().code != ErrorCode::kNotFound) {
        return fail(old.error());
    }
    auto insert = db_.prepare(
        "INSERT INTO key (name, models, routes, requests_per_minute, expires_unix_s, "
        "created_unix_s) VALUES (?, ?, ?, ?, ?, ?)");
    if (!insert) return fail(insert.error());
    const std::string models = join_lines(spec.models);
    const std::string routes = join_lines(spec.routes);
    insert->bind(1, std::string_view(spec.name))
        .bind(2, std::string_view(models))
        .bind(3, std::string_view(routes))
        .bind(4, static_cast<std::int64_t>(spec.requests_per_minute))
        .bind(5, spec.expires_unix_s)
        .bind(6, now);
    if (auto done = insert->run(); !done) return fail(done.error());
    auto secret = add_secret(spec.name, now);
    if (!secret) return fail(secret.error());
    if (auto done = transaction->commit(); !done) return fail(done.error());
    return secret;
}

Result<Secret> KeyStore::rotate(const std::string& name, std::int64_t overlap_s, std::int64_t now) {
    auto transaction = Transaction::begin(db_);
    if (!transaction) return fail(transaction.error());
    const auto key = find(name);
    if (!key) return fail(key.error());
    const bool expired = key->spec.expires_unix_s && *key->spec.expires_unix_s <= now;
    if (key->spec.revoked || expired) {
        return fail(ErrorCode::kInvalidRequest,
                    fmt::format("key '{}' {}", name, expired ? "has expired" : "is revoked"),
                    "make a new one with `leeway keys create`");
    }
    auto end_old = db_.prepare(
        "UPDATE secret SET valid_until_unix_s = min(coalesce(valid_until_unix_s, ?1), ?1) "
        "WHERE key = ?2");
    if (!end_old) return fail(end_old.error());
    end_old->bind(1, now + overlap_s).bind(2, std::string_view(name));
    if (auto done = end_old->run(); !done) return fail(done.error());
    auto drop_ended = db_.prepare("DELETE FROM secret WHERE key = ? AND valid_until_unix_s <= ?");
    if (!drop_ended) return fail(drop_ended.error());
    drop_ended->bind(1, std::string_view(name)).bind(2, now);
    if (auto done = drop_ended->run(); !done) return fail(done.error());
    auto secret = add_secret(name, now);
    if (!secret) return fail(secret.error());
    if (auto done = transaction->commit(); !done) return fail(done.error());
    return secret;
}

Result<void> KeyStore::revoke(const std::string& name, std::int64_t now) {
    const auto key = find(name);
    if (!key) return fail(key.error());
    auto update =
        db_.prepare("UPDATE key SET revoked_unix_s = coalesce(revoked_unix_s, ?) WHERE name = ?");
    if (!update) return fail(update.error());
    update->bind(1, now).bind(2, std::string_view(name));
    return update->run();
}

Result<std::int64_t> KeyStore::version() {
    const auto version = db_.query_int("PRAGMA data_version");
    if (!version) return fail(version.error());
    return version->value_or(0);
}

Result<std::shared_ptr<const guard::auth::KeyDirectory>> load_key_directory(const Config& config,
                                                                            KeyStore& store) {
    std::vector<KeyEntry> entries;
    for (const KeyConfig& key : config.keys) {
        KeyEntry entry;
        entry.spec.name = key.name;
        entry.spec.models = key.models;
        entry.spec.routes = key.routes;
        entry.spec.requests_per_minute = key.requests_per_minute;
        entry.spec.tokens_per_minute = key.tokens_per_minute;
        entry.spec.parallel = key.parallel;
        entry.spec.drains = key.drains;
        entry.spec.team = key.team;
        entry.spec.expires_unix_s = key.expires_unix_s;
        entry.credentials.push_back(
            {guard::auth::key_mac(store.pepper(), key.secret.expose()), std::nullopt});
        entries.push_back(std::move(entry));
    }
    auto stored = store.list();
    if (!stored) return fail(stored.error());
    for (StoredKey& key : *stored) {
        entries.push_back({std::move(key.spec), std::move(key.credentials)});
    }
    return guard::auth::KeyDirectory::build(store.pepper(), std::move(entries));
}

Result<bool> has_stored_keys(const std::string& state_folder) {
    const std::string path = database_path(state_folder);
    if (access(path.c_str(), F_OK) != 0) return false;
    store::sqlite::OpenOptions options;
    options.access = store::sqlite::Access::kReadOnly;
    auto db = Database::open(path, options);
    if (!db) return fail(db.error());
    if (auto ok = store::require_version(*db, "keys", kMigrations); !ok) {
        return fail(ok.error());
    }
    const auto count = db->query_int("SELECT count(*) FROM key");
    if (!count) return fail(count.error());
    return count->value_or(0) > 0;
}

}  // namespace leeway::app
