#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "store/postgres/database.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace leeway::store::sql {

class Statement;
class Transaction;

/// Which database: a SQLite file, or a PostgreSQL server by its URL.
struct Target {
    Target(std::string path) : file(std::move(path)) {}  // NOLINT(google-explicit-constructor)
    explicit Target(Secret postgres) : url(std::move(postgres)) {}
    [[nodiscard]] bool is_postgres() const noexcept { return !url.empty(); }

    std::string file;
    Secret url;  ///< empty: SQLite
};

/// A SQLite file or a PostgreSQL database with the same calls. Statements are written for SQLite (see
/// postgres::translate); the few that differ ask `is_postgres`. Contract as that of the two.
class Database {
public:
    using Transaction = sql::Transaction;

    /// Of `options` PostgreSQL knows `access` only: its durability is that of the server.
    [[nodiscard]] static Result<Database> open(const Target& target,
                                               const sqlite::OpenOptions& options = {});
    /// An empty SQLite database in memory.
    [[nodiscard]] static Result<Database> in_memory() { return open(Target(":memory:")); }

    [[nodiscard]] bool is_postgres() const noexcept { return db_.index() == 1; }
    [[nodiscard]] Result<void> exec(const char* sql);
    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    /// For a SELECT with more rows than should be in memory at once; only inside a transaction.
    [[nodiscard]] Result<Statement> prepare_scan(std::string_view sql);
    [[nodiscard]] Result<std::optional<std::int64_t>> query_int(std::string_view sql);
    [[nodiscard]] Result<bool> has_table(std::string_view name);
    [[nodiscard]] std::int64_t changes() const noexcept;
    [[nodiscard]] bool in_transaction() const noexcept;
    void release_memory() noexcept;
    /// The file, or the URL without its password.
    [[nodiscard]] const std::string& path() const noexcept;

    /// See postgres::Database; with SQLite nothing changes.
    [[nodiscard]] Result<void> begin_queue();
    [[nodiscard]] Result<void> end_queue();

private:
    explicit Database(sqlite::Database db) : db_(std::move(db)) {}
    explicit Database(postgres::Database db) : db_(std::move(db)) {}
    std::variant<sqlite::Database, postgres::Database> db_;
};

class Statement {
public:
    Statement& bind(int index, std::int64_t value) noexcept {
        std::visit([&](auto& to) { to.bind(index, value); }, statement_);
        return *this;
    }
    Statement& bind(int index, std::optional<std::int64_t> value) noexcept {
        return value ? bind(index, *value) : bind_null(index);
    }
    Statement& bind(int index, std::string_view text) noexcept {
        std::visit([&](auto& to) { to.bind(index, text); }, statement_);
        return *this;
    }
    Statement& bind_blob(int index, std::span<const std::uint8_t> bytes) noexcept {
        std::visit([&](auto& to) { to.bind_blob(index, bytes); }, statement_);
        return *this;
    }
    Statement& bind_null(int index) noexcept {
        std::visit([&](auto& to) { to.bind_null(index); }, statement_);
        return *this;
    }
    [[nodiscard]] Result<bool> step() {
        return std::visit([](auto& of) { return of.step(); }, statement_);
    }
    [[nodiscard]] Result<void> run() {
        return std::visit([](auto& of) { return of.run(); }, statement_);
    }
    void reset() noexcept {
        std::visit([](auto& of) { of.reset(); }, statement_);
    }
    [[nodiscard]] std::int64_t int64(int column) const noexcept {
        return std::visit([&](const auto& of) { return of.int64(column); }, statement_);
    }
    [[nodiscard]] std::optional<std::int64_t> optional_int64(int column) const noexcept {
        if (is_null(column)) return std::nullopt;
        return int64(column);
    }
    [[nodiscard]] double real(int column) const noexcept {
        return std::visit([&](const auto& of) { return of.real(column); }, statement_);
    }
    [[nodiscard]] std::string_view text(int column) const noexcept {
        return std::visit([&](const auto& of) { return of.text(column); }, statement_);
    }
    [[nodiscard]] std::span<const std::uint8_t> blob(int column) const noexcept {
        return std::visit([&](const auto& of) { return of.blob(column); }, statement_);
    }
    [[nodiscard]] bool is_null(int column) const noexcept {
        return std::visit([&](const auto& of) { return of.is_null(column); }, statement_);
    }

private:
    friend class Database;
    explicit Statement(sqlite::Statement statement) : statement_(std::move(statement)) {}
    explicit Statement(postgres::Statement statement) : statement_(std::move(statement)) {}
    std::variant<sqlite::Statement, postgres::Statement> statement_;
};

/// Rolled back when it goes out of scope without `commit`.
class Transaction {
public:
    /// To write: one writer at a time, also among several programs, so that no two can wait for each other.
    [[nodiscard]] static Result<Transaction> begin(Database& db);
    /// One snapshot for several reads.
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

}  // namespace leeway::store::sql
