#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace leeway::store::sqlite {

class Statement;
class Transaction;

enum class Access : std::uint8_t {
    kCreate = 0,     ///< read and write; the file is made if it is missing (mode 0600)
    kReadWrite = 1,  ///< read and write; the file must exist
    kReadOnly = 2,   ///< the file must exist; a writer may work on it at the same time (WAL)
};

/// When a commit reaches the disk. Neither ever corrupts the file.
enum class Durability : std::uint8_t {
    kNormal = 0,  ///< survives a kill of the process; a power cut may undo the last commits
    kFull = 1,    ///< every commit waits for the disk: survives a power cut too
};

struct OpenOptions {
    Access access = Access::kCreate;
    Durability durability = Durability::kNormal;
    int busy_timeout_ms = 5000;  ///< how long a statement waits for another connection's lock
    int wal_autocheckpoint = 1000;  ///< pages in the WAL before it is copied back
    int cache_kib = 2000;  ///< page cache of this connection
};

/// One connection to one SQLite file, in WAL mode. Used by one thread at a time; other threads and
/// processes open their own. Errors carry `reason`: "disk_full", "io_error", "busy", "corrupt",
/// "read_only", "cannot_open", "constraint" or "sqlite".
class Database {
public:
    using Transaction = sqlite::Transaction;

    [[nodiscard]] static Result<Database> open(const std::string& path,
                                               const OpenOptions& options = {});

    Database(Database&& other) noexcept;
    Database& operator=(Database&& other) noexcept;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    /// Statements of this connection must be gone by then.
    ~Database();

    /// Runs one or more statements that have no parameters. `sql` must be a constant of the program:
    /// values always go through `prepare` and `bind`.
    [[nodiscard]] Result<void> exec(const char* sql);
    /// Compiles one statement; it must not outlive the database.
    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    /// Likewise all of them, in their order, or none.
    [[nodiscard]] Result<std::vector<Statement>> prepare_all(std::span<const char* const> sql);
    /// First column of the first row as an integer; nullopt when there is no row or it is NULL.
    [[nodiscard]] Result<std::optional<std::int64_t>> query_int(std::string_view sql);
    [[nodiscard]] Result<bool> has_table(std::string_view name);
    /// Rows that the last INSERT, UPDATE or DELETE touched.
    [[nodiscard]] std::int64_t changes() const noexcept;
    [[nodiscard]] bool in_transaction() const noexcept;
    /// Drops cached pages; the next statements read them again.
    void release_memory() noexcept;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    struct Close {
        void operator()(sqlite3* db) const noexcept;
    };
    Database(sqlite3* db, std::string path);

    std::unique_ptr<sqlite3, Close> db_;
    std::string path_;
};

/// A prepared statement. Parameters and columns: parameters count from 1, columns from 0, as in
/// SQLite. Bound text and blobs are not copied: they must live until `reset` or `run` returns.
class Statement {
public:
    Statement(Statement&& other) noexcept = default;
    Statement& operator=(Statement&& other) noexcept = default;

    Statement& bind(int index, std::int64_t value) noexcept;
    Statement& bind(int index, std::optional<std::int64_t> value) noexcept;
    Statement& bind(int index, std::string_view text) noexcept;
    Statement& bind_blob(int index, std::span<const std::uint8_t> bytes) noexcept;
    Statement& bind_null(int index) noexcept;

    /// True: a row is ready. False: done, and the statement is reset for the next use.
    [[nodiscard]] Result<bool> step();
    /// For statements without rows: runs to the end and resets.
    [[nodiscard]] Result<void> run();
    /// Ends the current execution; bindings stay until they are bound anew.
    void reset() noexcept;

    [[nodiscard]] std::int64_t int64(int column) const noexcept;
    [[nodiscard]] std::optional<std::int64_t> optional_int64(int column) const noexcept;
    /// Valid until the next `step` or `reset`. NULL reads as empty.
    [[nodiscard]] std::string_view text(int column) const noexcept;
    /// Valid until the next `step` or `reset`. NULL reads as empty.
    [[nodiscard]] std::span<const std::uint8_t> blob(int column) const noexcept;
    [[nodiscard]] double real(int column) const noexcept;
    [[nodiscard]] bool is_null(int column) const noexcept;

private:
    friend class Database;
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept;
    };
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// BEGIN IMMEDIATE … COMMIT; rolled back when it goes out of scope without `commit`.
class Transaction {
public:
    [[nodiscard]] static Result<Transaction> begin(Database& db);
    /// One snapshot for several reads (BEGIN DEFERRED); also works on a read-only connection.
    [[nodiscard]] static Result<Transaction> begin_read(Database& db);

    Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// On error nothing was written and the transaction is over.
    [[nodiscard]] Result<void> commit();

private:
    explicit Transaction(Database& db) : db_(&db) {}
    Database* db_;
};

}  // namespace leeway::store::sqlite
