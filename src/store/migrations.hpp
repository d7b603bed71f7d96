#pragma once

#include "base/result.hpp"

#include <span>
#include <string_view>

namespace leeway::store {

/// One step forward of a schema. Steps are numbered 1, 2, … without gaps and never change once they
/// were released; there is no way back.
struct Migration {
    int version = 0;
    const char* sql =
        nullptr;  ///< one or more statements, run in one transaction with the version bump
    const char* postgres_also = nullptr;  ///< what PostgreSQL needs besides; null: nothing
};

// `Db` is sqlite::Database or sql::Database.

/// Brings `db` to the last of `migrations`. `what` names the database for people, e.g. "ledger".
/// A database that a newer program wrote is left untouched and yields an error that tells both
/// versions and what to do. Safe when two processes start at once.
template <class Db>
[[nodiscard]] Result<void> migrate(Db& db, std::string_view what,
                                   std::span<const Migration> migrations);

/// For readers: an error unless `db` has exactly the version of the last of `migrations`.
template <class Db>
[[nodiscard]] Result<void> require_version(Db& db, std::string_view what,
                                           std::span<const Migration> migrations);

/// The version of `db`; 0 when it has none yet.
template <class Db>
[[nodiscard]] Result<int> schema_version(Db& db);

}  // namespace leeway::store
