#include "ledger/reader.hpp"

#include "ledger/ledger.hpp"
#include "ledger/schema.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

namespace leeway::ledger {
namespace {

using store::sql::Database;
using store::sqlite::Access;

bool has_journals(const std::string& state_dir) {
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(ledger_folder(state_dir), code)) {
        const auto ending = entry.path().extension();
        if (ending == ".ring" || ending == ".spill") return true;
    }
    return false;
}

}  // namespace

Result<void> replay_leftovers(const std::string& state_dir, const Secret& database) {
    if (!has_journals(state_dir)) return {};
    // Reading needs no rights to write; someone who has none sees what is in the database.
    if (::access(ledger_folder(state_dir).c_str(), W_OK) != 0) return {};
    auto ledger = Ledger::open({.state_dir = state_dir,
                                .database = database,
                                .workers = 0,
                                .lock_patience = Duration::zero()});
    if (!ledger) {
        if (ledger.error().reason == "in_use") return {};
        return fail(std::move(ledger.error()));
    }
    // A long journal takes its time; a database that takes nothing must not hold a reader up.
    while (true) {
        auto done = (*ledger)->flush(std::chrono::seconds(1));
        if (done || (*ledger)->stats().failing) return done;
    }
}

Result<std::optional<Database>> open_for_reading(const std::string& state_dir,
                                                 const Secret& database) {
    const store::sql::Target target = database_target(state_dir, database);
    std::error_code code;
    if (!target.is_postgres() && !std::filesystem::exists(target.file, code)) return std::nullopt;
    auto db = Database::open(target, {.access = Access::kReadOnly});
    if (!db) return fail(std::move(db.error()));
    if (target.is_postgres()) {
        const auto made = db->has_table("schema_version");
        if (!made) return fail(made.error());
        if (!*made) return std::nullopt;
    }
    if (auto same = store::require_version(*db, "ledger", migrations()); !same) {
        return fail(std::move(same.error()));
    }
    return std::optional<Database>(std::move(*db));
}

Result<Database> open_or_empty(const std::string& state_dir, const Secret& database) {
    auto db = open_for_reading(state_dir, database);
    if (!db) return fail(std::move(db.error()));
    if (*db) return std::move(**db);
    auto empty = Database::in_memory();
    if (!empty) return empty;
    if (auto made = store::migrate(*empty, "ledger", migrations()); !made) {
        return fail(std::move(made.error()));
    }
    return empty;
}

void replay_for_reader(const std::string& state_dir, const Secret& database, std::FILE* err) {
    const auto replayed = replay_leftovers(state_dir, database);
    if (!replayed) {
        fmt::print(err, "note: records of a gateway that was killed are not in here yet: {}\n",
                   replayed.error().text());
    }
}

void Names::load() {
    auto all = db_.prepare(fmt::format("SELECT id, text FROM {}", table_));
    if (!all) return;
    while (true) {
        const auto row = all->step();
        if (!row || !*row) return;
        names_.insert_or_assign(all->int64(0), std::string(all->text(1)));
    }
}

const std::string& Names::text(std::int64_t id) {
    auto found = names_.find(id);
    if (found == names_.end()) {
        load();
        found = names_.try_emplace(id).first;
    }
    return found->second;
}

}  // namespace leeway::ledger
