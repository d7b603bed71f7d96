#include "store/sqlite/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

namespace leeway::store::sqlite {
namespace {

Error make_error(int code, std::string_view doing, std::string_view detail, std::string_view path) {
    Error error;
    error.code = ErrorCode::kUnavailable;
    error.message = fmt::format("{}: {} ({})", doing, detail, path);
    switch (code & 0xff) {
        case SQLITE_FULL:
            error.reason = "disk_full";
            error.hint = "free some space on that disk; nothing needs a restart";
            break;
        case SQLITE_IOERR:
            error.reason = "io_error";
            error.hint = "look at the disk and at the file's permissions";
            break;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            error.reason = "busy";
            error.hint = "another process holds the database locked";
            break;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            error.reason = "corrupt";
            error.hint = "move the file away and restore a copy of it";
            break;
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
            error.reason = "read_only";
            error.hint = "make the file and its folder writable for this user";
            break;
        case SQLITE_CANTOPEN:
            error.reason = "cannot_open";
            error.hint = "check that the folder exists and that this user may use it";
            break;
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_TOOBIG:
            error.reason = "constraint";
            error.code = ErrorCode::kInternal;
            break;
        default: error.reason = "sqlite"; error.code = ErrorCode::kInternal;
    }
    return error;
}

Error error_of(sqlite3* db, std::string_view doing) {
    const char* path = sqlite3_db_filename(db, "main");
    return make_error(sqlite3_extended_errcode(db), doing, sqlite3_errmsg(db),
                      path == nullptr ? "" : path);
}

int open_flags(Access access) {
    // Each connection belongs to one thread at a time, so SQLite's own mutexes are left out.
    switch (access) {
        case Access::kCreate:
            return SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        case Access::kReadWrite: return SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
        case Access::kReadOnly: return SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    }
    return SQLITE_OPEN_READONLY;
}

}  // namespace

void Database::Close::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }

Database::Database(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
Database::Database(Database&& other) noexcept = default;
Database& Database::operator=(Database&& other) noexcept = default;
Database::~Database() = default;

Result<Database> Database::open(const std::string& path, const OpenOptions& options) {
    if (options.access == Access::kCreate && path != ":memory:") {
        // SQLite would create it with the umask's mode; rows name keys and models, so 0600.
        // A file that is there is not touched: closing it would drop the locks (POSIX: those of the whole process)
        // of connections that use it, and another process could then take the WAL away under them.
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) ::close(fd);
    }
    // Before SQLite's first use: without its statistics an allocation takes no lock of the process.
    [[maybe_unused]] static const int without_statistics =
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, open_flags(options.access), nullptr);
    Database db(raw, path);
    if (raw == nullptr) return fail(ErrorCode::kInternal, "no memory for a database connection");
    if (code != SQLITE_OK) {
        return fail(make_error(code, "cannot open the database", sqlite3_errmsg(raw), path));
    }
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, options.busy_timeout_ms);
    std::string setup = fmt::format(
        "PRAGMA cache_size = -{};PRAGMA foreign_keys = ON;"
        "PRAGMA temp_store = MEMORY;",
        options.cache_kib);
    if (options.access != Access::kReadOnly) {
        setup += fmt::format(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {};"
            "PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = 67108864;",
            options.durability == Durability::kFull ? "FULL" : "NORMAL",
            options.wal_autocheckpoint);
    } else {
        // The first read says whether this is a database at all and whether its WAL can be used.
        setup += "SELECT count(*) FROM sqlite_schema;";
    }
    auto done = db.exec(setup.c_str());
    if (!done) return fail(std::move(done.error()));
    return db;
}

Result<void> Database::exec(const char* sql) {
    if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
        return fail(error_of(db_.get(), "database statement failed"));
    }
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v3(db_.get(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK) {
        return fail(error_of(db_.get(), "cannot prepare a database statement"));
    }
    return Statement(raw);
}

Result<std::vector<Statement>> Database::prepare_all(std::span<const char* const> sql) {
    std::vector<Statement> out;
    out.reserve(sql.size());
    for (const char* one : sql) {
        auto statement = prepare(one);
        if (!statement) return fail(std::move(statement.error()));
        out.push_back(std::move(*statement));
    }
    return out;
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
    auto statement =
        prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    if (!statement) return fail(std::move(statement.error()));
    statement->bind(1, name);
    const auto row = statement->step();
    if (!row) return fail(row.error());
    return *row && statement->int64(0) > 0;
}

std::int64_t Database::changes() const noexcept { return sqlite3_changes64(db_.get()); }

bool Database::in_transaction() const noexcept { return sqlite3_get_autocommit(db_.get()) == 0; }

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
    sqlite3_finalize(statement);
}

void Database::release_memory() noexcept { sqlite3_db_release_memory(db_.get()); }

// A bind fails only for a wrong index or a statement in use: bugs, which the tests of each
// statement show, and a parameter that stays NULL then violates the NOT NULL of its column.
Statement& Statement::bind(int index, std::int64_t value) noexcept {
    sqlite3_bind_int64(statement_.get(), index, value);
    return *this;
}

Statement& Statement::bind(int index, std::optional<std::int64_t> value) noexcept {
    return value ? bind(index, *value) : bind_null(index);
}

Statement& Statement::bind(int index, std::string_view text) noexcept {
    // A null pointer would bind NULL.
    sqlite3_bind_text(statement_.get(), index, text.data() == nullptr ? "" : text.data(),
                      static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
}

Statement& Statement::bind_blob(int index, std::span<const std::uint8_t> bytes) noexcept {
    static const std::uint8_t kNothing = 0;
    sqlite3_bind_blob(statement_.get(), index, bytes.data() == nullptr ? &kNothing : bytes.data(),
                      static_cast<int>(bytes.size()), SQLITE_STATIC);
    return *this;
}

Statement& Statement::bind_null(int index) noexcept {
    sqlite3_bind_null(statement_.get(), index);
    return *this;
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        sqlite3_reset(statement_.get());
        return false;
    }
    auto error = error_of(sqlite3_db_handle(statement_.get()), "database statement failed");
    sqlite3_reset(statement_.get());
    return fail(std::move(error));
}

Result<void> Statement::run() {
    const auto row = step();
    if (!row) return fail(row.error());
    if (*row) reset();
    return {};
}

void Statement::reset() noexcept { sqlite3_reset(statement_.get()); }

std::int64_t Statement::int64(int column) const noexcept {
    return sqlite3_column_int64(statement_.get(), column);
}

std::optional<std::int64_t> Statement::optional_int64(int column) const noexcept {
    if (is_null(column)) return std::nullopt;
    return int64(column);
}

std::string_view Statement::text(int column) const noexcept {
    const auto* data = sqlite3_column_text(statement_.get(), column);
    if (data == nullptr) return {};
    return {reinterpret_cast<const char*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::uint8_t> Statement::blob(int column) const noexcept {
    const auto* data = sqlite3_column_blob(statement_.get(), column);
    if (data == nullptr) return {};
    return {static_cast<const std::uint8_t*>(data),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

double Statement::real(int column) const noexcept {
    return sqlite3_column_double(statement_.get(), column);
}

bool Statement::is_null(int column) const noexcept {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<Transaction> Transaction::begin(Database& db) {
    auto begun = db.exec("BEGIN IMMEDIATE");
    if (!begun) return fail(std::move(begun.error()));
    return Transaction(db);
}

Result<Transaction> Transaction::begin_read(Database& db) {
    auto begun = db.exec("BEGIN DEFERRED");
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

}  // namespace leeway::store::sqlite
