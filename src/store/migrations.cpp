#include "store/migrations.hpp"

#include "store/sql/database.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::store {
namespace {

constexpr const char* kVersionTable =
    "CREATE TABLE IF NOT EXISTS schema_version ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  version INTEGER NOT NULL"
    ") STRICT";

int newest(std::span<const Migration> migrations) {
    return migrations.empty() ? 0 : migrations.back().version;
}

constexpr bool is_postgres(const sqlite::Database&) { return false; }
bool is_postgres(const sql::Database& db) { return db.is_postgres(); }

Error too_new(const std::string& name, std::string_view what, int found, int known) {
    Error error;
    error.code = ErrorCode::kConfig;
    error.reason = "newer_state";
    error.message = fmt::format(
        "the {} database {} has schema version {}, this program knows versions up to {}", what,
        name, found, known);
    error.hint =
        "it was written by a newer leeway: run that version again, or give this one another state "
        "folder; nothing was changed";
    return error;
}

}  // namespace

template <class Db>
Result<int> schema_version(Db& db) {
    const auto table = db.has_table("schema_version");
    if (!table) return fail(table.error());
    if (!*table) return 0;
    const auto version = db.query_int("SELECT version FROM schema_version");
    if (!version) return fail(version.error());
    return static_cast<int>(version->value_or(0));
}

template <class Db>
Result<void> migrate(Db& db, std::string_view what, std::span<const Migration> migrations) {
    // Looked at before the write lock is taken: the usual start changes nothing.
    const auto before = schema_version(db);
    if (!before) return fail(before.error());
    if (*before > newest(migrations))
        return fail(too_new(db.path(), what, *before, newest(migrations)));
    if (*before == newest(migrations)) return {};

    auto transaction = Db::Transaction::begin(db);
    if (!transaction) return fail(transaction.error());
    const auto current = schema_version(db);  // another process may have been quicker
    if (!current) return fail(current.error());
    if (auto made = db.exec(kVersionTable); !made) return made;
    for (const Migration& migration : migrations) {
        if (migration.version <= *current) continue;
        auto applied = db.exec(migration.sql);
        if (applied && migration.postgres_also != nullptr && is_postgres(db)) {
            applied = db.exec(migration.postgres_also);
        }
        if (!applied) {
            applied.error().message = fmt::format("migration {} of the {} database failed: {}",
                                                  migration.version, what, applied.error().message);
            return applied;
        }
    }
    auto set = db.prepare(
        "INSERT INTO schema_version (one, version) VALUES (1, ?1)"
        " ON CONFLICT (one) DO UPDATE SET version = excluded.version");
    if (!set) return fail(set.error());
    set->bind(1, std::int64_t{std::max(newest(migrations), *current)});
    if (auto stored = set->run(); !stored) return stored;
    return transaction->commit();
}

template <class Db>
Result<void> require_version(Db& db, std::string_view what, std::span<const Migration> migrations) {
    const auto version = schema_version(db);
    if (!version) return fail(version.error());
    if (*version > newest(migrations))
        return fail(too_new(db.path(), what, *version, newest(migrations)));
    if (*version < newest(migrations)) {
        return fail(ErrorCode::kConfig,
                    fmt::format("the {} database {} has schema version {}, this program needs {}",
                                what, db.path(), *version, newest(migrations)),
                    "start leeway serve once: it brings the database up to date");
    }
    return {};
}

template Result<void> migrate(sqlite::Database&, std::string_view, std::span<const Migration>);
template Result<void> migrate(sql::Database&, std::string_view, std::span<const Migration>);
template Result<void> require_version(sqlite::Database&, std::string_view,
                                      std::span<const Migration>);
template Result<void> require_version(sql::Database&, std::string_view, std::span<const Migration>);
template Result<int> schema_version(sqlite::Database&);
template Result<int> schema_version(sql::Database&);

}  // namespace leeway::store
