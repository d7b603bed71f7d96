#include "store/sql/database.hpp"

#include <array>

namespace leeway::store::sql {
namespace {

// The number has no meaning; programs of other makers in the same database are unlikely to choose it.
constexpr std::array<const char*, 2> kBegin{
    "BEGIN IMMEDIATE", "BEGIN; SELECT pg_advisory_xact_lock(7811894712059253607)"};
constexpr std::array<const char*, 2> kBeginRead{"BEGIN DEFERRED",
                                                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};

}  // namespace

Result<Database> Database::open(const Target& target, const sqlite::OpenOptions& options) {
    if (target.is_postgres()) {
        postgres::OpenOptions remote;
        remote.read_only = options.access == sqlite::Access::kReadOnly;
        auto db = postgres::Database::open(target.url, remote);
        if (!db) return fail(std::move(db.error()));
        return Database(std::move(*db));
    }
    auto db = sqlite::Database::open(target.file, options);
    if (!db) return fail(std::move(db.error()));
    return Database(std::move(*db));
}

Result<void> Database::exec(const char* sql) {
    return std::visit([&](auto& db) { return db.exec(sql); }, db_);
}

Result<Statement> Database::prepare(std::string_view sql) {
    return std::visit(
        [&](auto& db) -> Result<Statement> {
            auto made = db.prepare(sql);
            if (!made) return fail(std::move(made.error()));
            return Statement(std::move(*made));
        },
        db_);
}

Result<Statement> Database::prepare_scan(std::string_view sql) {
    auto* remote = std::get_if<postgres::Database>(&db_);
    if (remote == nullptr) return prepare(sql);
    auto made = remote->prepare(sql, true);
    if (!made) return fail(std::move(made.error()));
    return Statement(std::move(*made));
}

Result<std::optional<std::int64_t>> Database::query_int(std::string_view sql) {
    auto statement = prepare(sql);
    if (!statement) return fail(std::move(statement.error()));
    const auto row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) return std::nullopt;
    return statement->optional_int64(0);
}

Result<bool> Database::has_table(std::string_view name) {
    return std::visit([&](auto& db) { return db.has_table(name); }, db_);
}

std::int64_t Database::changes() const noexcept {
    return std::visit([](const auto& db) { return db.changes(); }, db_);
}

bool Database::in_transaction() const noexcept {
    return std::visit([](const auto& db) { return db.in_transaction(); }, db_);
}

void Database::release_memory() noexcept {
    if (auto* db = std::get_if<sqlite::Database>(&db_)) db->release_memory();
}

const std::string& Database::path() const noexcept {
    if (const auto* db = std::get_if<sqlite::Database>(&db_)) return db->path();
    return std::get<postgres::Database>(db_).name();
}

Result<void> Database::begin_queue() {
    auto* db = std::get_if<postgres::Database>(&db_);
    return db == nullptr ? Result<void>() : db->begin_queue();
}

Result<void> Database::end_queue() {
    auto* db = std::get_if<postgres::Database>(&db_);
    return db == nullptr ? Result<void>() : db->end_queue();
}

Result<Transaction> Transaction::begin(Database& db) {
    auto begun = db.exec(kBegin[db.is_postgres() ? 1 : 0]);
    if (!begun) {
        // The lock may have failed after the BEGIN.
        if (db.in_transaction()) (void)db.exec("ROLLBACK");
        return fail(std::move(begun.error()));
    }
    return Transaction(db);
}

Result<Transaction> Transaction::begin_read(Database& db) {
    auto begun = db.exec(kBeginRead[db.is_postgres() ? 1 : 0]);
    if (!begun) return fail(std::move(begun.error()));
    return Transaction(db);
}

Transaction::~Transaction() {
    // Some errors end the transaction by themselves; a second ROLLBACK would only fail.
    if (db_ != nullptr && db_->in_transaction()) (void)db_->exec("ROLLBACK");
}

Result<void> Transaction::commit() {
    auto done = db_->exec("COMMIT");
    if (!done) return done;  // the destructor rolls back
    db_ = nullptr;
    return {};
}

}  // namespace leeway::store::sql
