#pragma once

#include "base/hash.hpp"
#include "base/result.hpp"
#include "store/sqlite/database.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace leeway::agent_cache {

/// The SQLite file of the exact cache: rows by key, nothing about what is in them. One thread at a
/// time. Errors carry `reason` as those of `store::sqlite::Database`.
class AnswerFile {
public:
    /// One row, as told to whoever keeps count. `size` includes what SQLite needs for it.
    using OnRow =
        std::function<void(const Sha256& key, std::int64_t expires_unix_ms, std::uint64_t size)>;
    struct Row {
        Sha256 key;
        std::string_view bytes;
        std::uint64_t tenant = 0;
        std::int64_t expires_unix_ms = 0;
        std::int64_t used_unix_ms = 0;
    };

    /// Makes the file or brings it up to date.
    [[nodiscard]] static Result<std::unique_ptr<AnswerFile>> open(const std::string& path);

    /// All rows, without reading what is in them.
    [[nodiscard]] Result<void> each(const OnRow& on_row);
    /// The bytes, valid until the next call here; empty when there is no such row.
    [[nodiscard]] Result<std::span<const std::uint8_t>> read(const Sha256& key);

    [[nodiscard]] Result<store::sqlite::Transaction> begin();
    /// Replaces; `replaced` is told about the row that was there. Returns the new row's size.
    [[nodiscard]] Result<std::uint64_t> write(const Row& row, const OnRow& replaced);
    [[nodiscard]] Result<void> note_use(const Sha256& key, std::int64_t unix_ms);
    [[nodiscard]] Result<void> erase(const Sha256& key, const OnRow& erased);
    [[nodiscard]] Result<void> erase_tenant(std::uint64_t tenant, const OnRow& erased);
    /// At most `limit` rows that expired before `now_unix_ms`.
    [[nodiscard]] Result<void> erase_expired(std::int64_t now_unix_ms, int limit,
                                             const OnRow& erased);
    /// The `limit` rows whose last use is the longest ago.
    [[nodiscard]] Result<void> erase_oldest(int limit, const OnRow& erased);
    [[nodiscard]] Result<void> clear();
    /// Gives a bounded number of unused pages back to the file system when there are many.
    [[nodiscard]] Result<void> shrink();

private:
    using Statement = store::sqlite::Statement;
    explicit AnswerFile(store::sqlite::Database db) : db_(std::move(db)) {}
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] static Result<void> run(Statement& statement, const OnRow& on_row);

    store::sqlite::Database db_;
    struct Statements;
    struct Drop {
        void operator()(Statements* statements) const noexcept;
    };
    std::unique_ptr<Statements, Drop> sql_;  // after db_: must go first
};

}  // namespace leeway::agent_cache
