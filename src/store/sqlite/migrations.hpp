#pragma once

#include "base/result.hpp"
#include "store/sqlite/database.hpp"

#include <span>
#include <string_view>

namespace leeway::store::sqlite {

/// One step forward of a schema. Steps are numbered 1, 2, … without gaps and never change once they
/// were released; there is no way back.
struct Migration {
    int version;
    const char* sql;  ///< one or more statements, run in one transaction with the version bump
};

/// Brings `db` to the last of `migrations`. `what` names the database for people, e.g. "ledger".
/// A database that a newer program wrote is left untouched and yields an error that tells both
/// versions and what to do. Safe when two processes start at once.
[[nodiscard]] Result<void> migrate(Database& db, std::string_view what,
                                   std::span<const Migration> migrations);

/// For readers: an error unless `db` has exactly the version of the last of `migrations`.
[[nodiscard]] Result<void> require_version(Database& db, std::string_view what,
                                           std::span<const Migration> migrations);

/// The version of `db`; 0 when it has none yet.
[[nodiscard]] Result<int> schema_version(Database& db);

}  // namespace leeway::store::sqlite
