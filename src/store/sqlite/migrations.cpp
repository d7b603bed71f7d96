#include "store/sqlite/migrations.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::store::sqlite {
namespace {

constexpr const char* kVersionTable =
    "CREATE TABLE IF NOT EXISTS schema_version ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  version INTEGER NOT NULL"
    ") STRICT";

int newest(std::span<const Migration> migrations) {
    return migrations.empty() ? 0 : migrations.back().version;
}

Error too_new(const Database& db, std::string_view what, int found, int known) {
    Error error;
    error.code = ErrorCode::kConfig;
    error.reason = "newer_state";
    error.message = fmt::format(
        "the {} database {} has schema version {}, this program knows versions up to {}", what,
        db.path(), found, known);
    error.hint =
        "it was written by a newer leeway: run that version again, or give this one another state "
        "folder; nothing was changed";
    return error;
}

}  // namespace

Result<int> schema_version(Database& db) {
    const auto table = db.query_int(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'");
    if (!table) return fail(table.error());
    if (table->value_or(0) == 0) return 0;
    const auto version = db.query_int("SELECT version FROM schema_version");
    if (!version) return fail(version.error());
    return static_cast<int>(version->value_or(0));
}

Result<void> migrate(Database& db, std::string_view what, std::span<const Migration> migrations) {
    // Looked at before the write lock is taken: the usual start changes nothing.
    const auto before = schema_version(db);
    if (!before) return fail(before.error());
    if (*before > newest(migrations)) return fail(too_new(db, what, *before, newest(migrations)));
    if (*before == newest(migrations)) return {};

    auto transaction = Transaction::begin(db);
    if (!transaction) return fail(transaction.error());
    const auto current = schema_version(db);  // another process may have been quicker
    if (!current) return fail(current.error());
    if (auto made = db.exec(kVersionTable); !made) return made;
    for (const Migration& migration : migrations) {
        if (migration.version <= *current) continue;
        auto applied = db.exec(migration.sql);
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

Result<void> require_version(Database& db, std::string_view what,
                             std::span<const Migration> migrations) {
    const auto version = schema_version(db);
    if (!version) return fail(version.error());
    if (*version > newest(migrations)) return fail(too_new(db, what, *version, newest(migrations)));
    if (*version < newest(migrations)) {
        return fail(ErrorCode::kConfig,
                    fmt::format("the {} database {} has schema version {}, this program needs {}",
                                what, db.path(), *version, newest(migrations)),
                    "start leeway serve once: it brings the database up to date");
    }
    return {};
}

}  // namespace leeway::store::sqlite
