#include "methods/agent_cache/answer_file.hpp"

#include "store/migrations.hpp"
#include "store/sqlite/cache_file.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::agent_cache {
namespace {

using store::Migration;
using store::sqlite::Database;
using store::sqlite::Transaction;

// Both indexes cover what is asked of them: counting, evicting and purging never read a body.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE answer (
    id         INTEGER PRIMARY KEY,
    key        BLOB    NOT NULL UNIQUE,
    tenant     INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms    INTEGER NOT NULL,
    size       INTEGER NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX answer_by_use ON answer (used_ms, size, expires_ms, tenant, key);
CREATE INDEX answer_by_expiry ON answer (expires_ms, size, key);
)sql";

constexpr std::array kMigrations = {Migration{1, kVersion1}};

constexpr std::uint64_t kMostSize = std::uint64_t{1} << 40;

/// About what a row takes in the file, its indexes and the slack of pages included (measured: 2,226
/// bytes each for a million rows of 1,420).
std::uint64_t size_on_disk(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t kInline = 4000;  // longer ones have pages of their own
    constexpr std::uint64_t kPagePayload = 4092;
    if (bytes <= kInline) return 400 + bytes + bytes * 3 / 10;
    return 900 + (bytes / kPagePayload + 1) * 4096;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

struct AnswerFile::Statements {
    Statement each;
    Statement read;
    Statement insert;
    Statement note_use;
    Statement erase;
    Statement erase_tenant;
    Statement erase_expired;
    Statement erase_oldest;
};

void AnswerFile::Drop::operator()(Statements* statements) const noexcept { delete statements; }

Result<std::unique_ptr<AnswerFile>> AnswerFile::open(const std::string& path) {
    auto db = Database::open(path);
    if (!db) return fail(std::move(db.error()));
    const auto version = store::schema_version(*db);
    if (!version) return fail(version.error());
    if (*version == 0) {
        // Only possible while there are no tables, and in WAL mode only through VACUUM.
        auto made = db->exec("PRAGMA auto_vacuum = INCREMENTAL; VACUUM;");
        if (!made) return fail(std::move(made.error()));
    }
    // What was erased should not be readable in the file where that costs no extra writes.
    auto done = db->exec("PRAGMA secure_delete = FAST");
    if (done) done = store::migrate(*db, "cache", kMigrations);
    if (!done) return fail(std::move(done.error()));
    std::unique_ptr<AnswerFile> file(new AnswerFile(std::move(*db)));
    done = file->prepare();
    if (!done) return fail(std::move(done.error()));
    return file;
}

Result<void> AnswerFile::prepare() {
    // The order of Statements.
    constexpr std::array kSql = {
        "SELECT key, expires_ms, size FROM answer INDEXED BY answer_by_use",
        "SELECT sealed FROM answer WHERE key = ?1",
        "INSERT INTO answer (key, tenant, expires_ms, used_ms, size, sealed)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        "UPDATE answer SET used_ms = ?2 WHERE key = ?1 AND used_ms < ?2",
        "DELETE FROM answer WHERE key = ?1 RETURNING key, expires_ms, size",
        "DELETE FROM answer WHERE id IN (SELECT id FROM answer INDEXED BY answer_by_use"
        " WHERE tenant = ?1) RETURNING key, expires_ms, size",
        "DELETE FROM answer WHERE id IN (SELECT id FROM answer INDEXED BY answer_by_expiry"
        " WHERE expires_ms <= ?1 LIMIT ?2) RETURNING key, expires_ms, size",
        "DELETE FROM answer WHERE id IN (SELECT id FROM answer INDEXED BY answer_by_use"
        " ORDER BY used_ms LIMIT ?1) RETURNING key, expires_ms, size",
    };
    auto all = db_.prepare_all(kSql);
    if (!all) return fail(std::move(all.error()));
    std::vector<Statement>& made = *all;
    sql_.reset(new Statements{std::move(made[0]), std::move(made[1]), std::move(made[2]),
                              std::move(made[3]), std::move(made[4]), std::move(made[5]),
                              std::move(made[6]), std::move(made[7])});
    return {};
}

Result<void> AnswerFile::run(Statement& statement, const OnRow& on_row) {
    for (;;) {
        const auto row = statement.step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const auto key_bytes = statement.blob(0);
        Sha256 key{};
        // Other lengths only in a damaged file; the row then counts, but nobody asks for it.
        if (key_bytes.size() == key.size()) {
            std::copy(key_bytes.begin(), key_bytes.end(), key.begin());
        }
        const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(statement.int64(2), 0));
        on_row(key, statement.int64(1), std::min(size, kMostSize));
    }
}

Result<void> AnswerFile::each(const OnRow& on_row) { return run(sql_->each, on_row); }

Result<std::span<const std::uint8_t>> AnswerFile::read(const Sha256& key) {
    sql_->read.reset();
    sql_->read.bind_blob(1, key);
    const auto row = sql_->read.step();
    if (!row) return fail(row.error());
    if (!*row) return std::span<const std::uint8_t>();
    return sql_->read.blob(0);
}

Result<Transaction> AnswerFile::begin() {
    sql_->read.reset();  // a read that is not over would hold its snapshot
    return Transaction::begin(db_);
}

Result<std::uint64_t> AnswerFile::write(const Row& row, const OnRow& replaced) {
    if (auto gone = erase(row.key, replaced); !gone) return fail(std::move(gone.error()));
    const std::uint64_t size = size_on_disk(row.bytes.size());
    sql_->insert.bind_blob(1, row.key)
        .bind(2, static_cast<std::int64_t>(row.tenant))
        .bind(3, row.expires_unix_ms)
        .bind(4, row.used_unix_ms)
        .bind(5, static_cast<std::int64_t>(size))
        .bind_blob(6, bytes_of(row.bytes));
    if (auto done = sql_->insert.run(); !done) return fail(std::move(done.error()));
    return size;
}

Result<void> AnswerFile::note_use(const Sha256& key, std::int64_t unix_ms) {
    sql_->note_use.bind_blob(1, key).bind(2, unix_ms);
    return sql_->note_use.run();
}

Result<void> AnswerFile::erase(const Sha256& key, const OnRow& erased) {
    sql_->read.reset();
    sql_->erase.bind_blob(1, key);
    return run(sql_->erase, erased);
}

Result<void> AnswerFile::erase_tenant(std::uint64_t tenant, const OnRow& erased) {
    sql_->read.reset();
    sql_->erase_tenant.bind(1, static_cast<std::int64_t>(tenant));
    return run(sql_->erase_tenant, erased);
}

Result<void> AnswerFile::erase_expired(std::int64_t now_unix_ms, int limit, const OnRow& erased) {
    sql_->read.reset();
    sql_->erase_expired.bind(1, now_unix_ms).bind(2, std::int64_t{limit});
    return run(sql_->erase_expired, erased);
}

Result<void> AnswerFile::erase_oldest(int limit, const OnRow& erased) {
    sql_->read.reset();
    sql_->erase_oldest.bind(1, std::int64_t{limit});
    return run(sql_->erase_oldest, erased);
}

Result<void> AnswerFile::clear() {
    sql_->read.reset();
    return db_.exec(
        "DELETE FROM answer; PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<void> AnswerFile::shrink() { return store::sqlite::shrink(db_); }

}  // namespace leeway::agent_cache
