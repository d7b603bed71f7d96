#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pg_result;

namespace leeway::store::postgres {

struct Connection;
class Statement;

struct OpenOptions {
    bool read_only = false;
    Duration connect_patience = std::chrono::seconds(5);  ///< until the server lets us in
    Duration patience = std::chrono::seconds(60);  ///< for each answer; then the connection is void
};

/// `sql` as the program writes it, for SQLite, in PostgreSQL's words: parameters `?1` become `$1`, the
/// columns `end` and `user` get quotes, and types and table options of CREATE TABLE change. Text in quotes
/// stays.
[[nodiscard]] std::string translate(std::string_view sql);

/// The URL without its password: "postgres://user@host:5432/name". An error when it is none.
[[nodiscard]] Result<std::string> display_name(const Secret& url);

/// One connection to a PostgreSQL server. Used by one thread at a time, which waits for each answer, so
/// never an event loop's. It does not come back by itself: after reason "unreachable" open a new one. Errors
/// carry `reason`: "unreachable", "denied", "disk_full", "busy", "constraint", "read_only" or "postgres"; no
/// text of them holds the password.
class Database {
public:
    [[nodiscard]] static Result<Database> open(const Secret& url, const OpenOptions& options = {});

    Database(Database&& other) noexcept;
    Database& operator=(Database&& other) noexcept;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    /// Statements of this connection must be gone by then.
    ~Database();

    /// Runs one or more statements without parameters; `sql` must be a constant of the program.
    [[nodiscard]] Result<void> exec(const char* sql);
    /// `many_rows`: rows are fetched a thousand at a time, inside a transaction; else all at once.
    [[nodiscard]] Result<Statement> prepare(std::string_view sql, bool many_rows = false);
    [[nodiscard]] Result<bool> has_table(std::string_view name);
    /// Rows that the last statement touched; not in a queue.
    [[nodiscard]] std::int64_t changes() const noexcept;
    [[nodiscard]] bool in_transaction() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept;

    /// From here on `Statement::run` only sends; answers are read now and then, and the first error shows at
    /// a later call, at the latest at `end_queue`. Saves the wait for each of many statements.
    [[nodiscard]] Result<void> begin_queue();
    [[nodiscard]] Result<void> end_queue();

private:
    explicit Database(std::unique_ptr<Connection> connection);
    std::unique_ptr<Connection> connection_;
};

/// A prepared statement, with the contract of sqlite::Statement.
class Statement {
public:
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    ~Statement();

    Statement& bind(int index, std::int64_t value) noexcept;
    Statement& bind(int index, std::string_view text) noexcept;
    Statement& bind_blob(int index, std::span<const std::uint8_t> bytes) noexcept;
    Statement& bind_null(int index) noexcept;

    [[nodiscard]] Result<bool> step();
    [[nodiscard]] Result<void> run();
    void reset() noexcept;

    [[nodiscard]] std::int64_t int64(int column) const noexcept;
    [[nodiscard]] double real(int column) const noexcept;
    [[nodiscard]] std::string_view text(int column) const noexcept;
    [[nodiscard]] std::span<const std::uint8_t> blob(int column) const noexcept;
    [[nodiscard]] bool is_null(int column) const noexcept;

private:
    friend class Database;
    struct Parameter {
        enum class Kind : std::uint8_t { kNull, kInteger, kText, kBlob };
        Kind kind = Kind::kNull;
        bool takes_binary = false;  // an int8 of the server
        std::int64_t integer = 0;
        std::string_view bytes;
    };
    struct Clear {
        void operator()(pg_result* result) const noexcept;
    };
    using Rows = std::unique_ptr<pg_result, Clear>;
    Statement(Connection* connection, std::string name, std::string scan_sql)
        : connection_(connection), name_(std::move(name)), scan_sql_(std::move(scan_sql)) {}
    [[nodiscard]] Result<Rows> execute();
    [[nodiscard]] Result<void> fetch();
    void encode();

    Connection* connection_;
    std::string name_;
    std::string scan_sql_;  // not empty: read through a cursor of this name
    bool scanning_ = false;
    std::vector<Parameter> parameters_;
    std::vector<unsigned> types_;
    // What libpq is given.
    std::vector<const char*> values_;
    std::vector<int> lengths_, formats_;
    std::vector<std::uint64_t> integers_;
    std::vector<std::string> texts_;
    Rows rows_;
    int row_ = -1;
    mutable std::vector<std::vector<std::uint8_t>> blobs_;  // of this row, by column
};

}  // namespace leeway::store::postgres
