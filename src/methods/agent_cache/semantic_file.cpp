#include "methods/agent_cache/semantic_file.hpp"

#include "store/migrations.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/tenant_file.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <span>

namespace leeway::agent_cache {
namespace {

using store::Migration;
using store::sqlite::Access;
using store::sqlite::Database;
using store::sqlite::each_row;
using store::sqlite::run;
using store::sqlite::Statement;

constexpr const char* kVersion1 = R"sql(
CREATE TABLE record (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    entry    INTEGER NOT NULL UNIQUE,
    tenant   TEXT    NOT NULL,
    route    TEXT    NOT NULL,
    right    INTEGER NOT NULL,
    wrong    INTEGER NOT NULL,
    expected INTEGER NOT NULL
) STRICT;
CREATE TABLE controller (
    id     BLOB NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    route  TEXT NOT NULL,
    saved  TEXT NOT NULL,
    state  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE decision (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id     BLOB    NOT NULL,
    tenant TEXT    NOT NULL,
    route  TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;
CREATE INDEX decision_by_id ON decision (id);
CREATE TABLE erasure (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT,
    route  TEXT
) STRICT;
)sql";
// `expected` of a record is kept in these.
constexpr float kMillionths = 1e6F;

constexpr std::array kMigrations = {Migration{1, kVersion1}};

Sha256 sha_of(std::span<const std::uint8_t> bytes) {
    Sha256 out{};
    if (bytes.size() == out.size()) std::memcpy(out.data(), bytes.data(), out.size());
    return out;
}

void bind_text(Statement& to, int index, const std::optional<std::string>& text) {
    if (text) {
        to.bind(index, std::string_view(*text));
    } else {
        to.bind_null(index);
    }
}

}  // namespace

Result<SemanticFile> SemanticFile::open(const std::string& path, Access access) {
    auto db = store::sqlite::open_tenant_file(path, access, "semantic cache", kMigrations);
    if (!db) return fail(std::move(db.error()));
    return SemanticFile(std::move(*db));
}

Result<void> SemanticFile::each_record(const std::function<void(RecordRow)>& take) {
    return each_row(db_, "SELECT entry, tenant, route, right, wrong, expected FROM record",
                    [&](const Statement& row) {
                        semantic::EntryRecord counts;
                        counts.right = static_cast<float>(row.int64(3));
                        counts.wrong = static_cast<float>(row.int64(4));
                        counts.expected = static_cast<float>(row.int64(5)) / kMillionths;
                        take({static_cast<std::uint64_t>(row.int64(0)), std::string(row.text(1)),
                              std::string(row.text(2)), counts});
                    });
}

Result<void> SemanticFile::each_controller(const std::function<void(ControllerRow)>& take) {
    return each_row(
        db_, "SELECT id, tenant, route, saved, state FROM controller ORDER BY tenant, route, id",
        [&](const Statement& row) {
            take({sha_of(row.blob(0)), std::string(row.text(1)), std::string(row.text(2)),
                  std::string(row.text(3)), std::string(row.text(4))});
        });
}

Result<void> SemanticFile::save(const RecordRow& record) {
    auto done = run(db_,
                    "INSERT OR REPLACE INTO record (entry, tenant, route, right, wrong, expected) "
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    [&](Statement& to) {
                        to.bind(1, static_cast<std::int64_t>(record.entry));
                        to.bind(2, std::string_view(record.tenant));
                        to.bind(3, std::string_view(record.route));
                        to.bind(4, std::int64_t{std::lround(record.counts.right)});
                        to.bind(5, std::int64_t{std::lround(record.counts.wrong)});
                        to.bind(6, std::int64_t{std::lround(record.counts.expected * kMillionths)});
                    });
    if (!done) return done;
    return run(db_, "DELETE FROM record WHERE number <= last_insert_rowid() - ?1",
               [](Statement& to) { to.bind(1, std::int64_t{kRecords}); });
}

Result<void> SemanticFile::save(const ControllerRow& controller) {
    return run(db_, "INSERT OR REPLACE INTO controller VALUES (?1, ?2, ?3, ?4, ?5)",
               [&](Statement& to) {
                   to.bind_blob(1, controller.id).bind(2, std::string_view(controller.tenant));
                   to.bind(3, std::string_view(controller.route));
                   to.bind(4, std::string_view(controller.saved));
                   to.bind(5, std::string_view(controller.state));
               });
}

Result<void> SemanticFile::erase(const Erasure& what) {
    for (const char* table : {"record", "controller", "decision"}) {
        auto done = run(db_,
                        "DELETE FROM " + std::string(table) +
                            " WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR route = ?2)",
                        [&](Statement& to) {
                            bind_text(to, 1, what.tenant);
                            bind_text(to, 2, what.route);
                        });
        if (!done) return done;
    }
    return {};
}

Result<void> SemanticFile::add_decision(const RequestId& id, std::string_view tenant,
                                        std::string_view route, std::string_view detail) {
    auto done = run(db_, "INSERT INTO decision (id, tenant, route, detail) VALUES (?1, ?2, ?3, ?4)",
                    [&](Statement& to) {
                        to.bind_blob(1, id.bytes).bind(2, tenant).bind(3, route).bind(4, detail);
                    });
    if (!done) return done;
    return run(db_, "DELETE FROM decision WHERE number <= last_insert_rowid() - ?1",
               [](Statement& to) { to.bind(1, std::int64_t{kDecisions}); });
}

Result<std::optional<std::string>> SemanticFile::decision(const RequestId& id) {
    auto rows =
        db_.prepare("SELECT detail FROM decision WHERE id = ?1 ORDER BY number DESC LIMIT 1");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind_blob(1, id.bytes);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    if (!*row) return std::optional<std::string>();
    return std::optional<std::string>(rows->text(0));
}

Result<SemanticFile::Orders> SemanticFile::orders() {
    Orders out;
    auto done = each_row(db_, "SELECT number, tenant, route FROM erasure ORDER BY number",
                         [&](const Statement& row) {
                             out.last = row.int64(0);
                             Erasure& what = out.what.emplace_back();
                             if (!row.is_null(1)) what.tenant = row.text(1);
                             if (!row.is_null(2)) what.route = row.text(2);
                         });
    if (!done) return fail(std::move(done.error()));
    return out;
}

Result<std::int64_t> SemanticFile::order(const Erasure& what) {
    auto rows = db_.prepare("INSERT INTO erasure (tenant, route) VALUES (?1, ?2) RETURNING number");
    if (!rows) return fail(std::move(rows.error()));
    bind_text(*rows, 1, what.tenant);
    bind_text(*rows, 2, what.route);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    const std::int64_t number = rows->int64(0);
    if (const auto done = rows->step(); !done) return fail(done.error());
    return number;
}

Result<void> SemanticFile::forget_orders(std::int64_t last) {
    return run(db_, "DELETE FROM erasure WHERE number <= ?1",
               [last](Statement& to) { to.bind(1, last); });
}

Result<bool> SemanticFile::is_obeyed(std::int64_t number) {
    auto rows = db_.prepare("SELECT 1 FROM erasure WHERE number = ?1");
    if (!rows) return fail(std::move(rows.error()));
    rows->bind(1, number);
    const auto row = rows->step();
    if (!row) return fail(row.error());
    return !*row;
}

}  // namespace leeway::agent_cache
