#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace leeway::ledger {

/// Puts what a dead process left in its journals into the database, see database_target. Nothing happens
/// when a living process owns the folder (it does this itself), or when there is nothing to do.
[[nodiscard]] Result<void> replay_leftovers(const std::string& state_dir,
                                            const Secret& database = {});

/// `replay_leftovers` for a command that only reads: what keeps it from working is said on `err`, and
/// the command goes on with what is in the database.
void replay_for_reader(const std::string& state_dir, const Secret& database, std::FILE* err);

/// The ledger's database for reading, also while a gateway writes it. nullopt: there is no ledger
/// yet. An error when it has another schema version or cannot be read.
[[nodiscard]] Result<std::optional<store::sql::Database>> open_for_reading(
    const std::string& state_dir, const Secret& database = {});

/// The same; an empty one in memory where there is no ledger yet.
[[nodiscard]] Result<store::sql::Database> open_or_empty(const std::string& state_dir,
                                                         const Secret& database);

/// Numbers of the table `name` or `label` back to text. Reads the table again when it meets a new number.
class Names {
public:
    explicit Names(store::sql::Database& db, const char* table = "name") : db_(db), table_(table) {}
    /// The text stays valid as long as this object. Empty for a number that is not there.
    [[nodiscard]] const std::string& text(std::int64_t id);

private:
    void load();
    store::sql::Database& db_;
    const char* table_;
    std::unordered_map<std::int64_t, std::string> names_;
};

}  // namespace leeway::ledger
