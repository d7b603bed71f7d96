#pragma once

#include "base/result.hpp"
#include "store/sqlite/database.hpp"
#include "store/vectors/vector_store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace leeway::store::vectors {

/// The SQLite file of the vectors. One thread at a time. Errors carry `reason` as those of `store::sqlite::Database`.
class VectorFile {
public:
    struct Row {
        std::int64_t partition = 0;
        std::uint64_t id = 0;
        std::uint64_t stamp = 0;  ///< grows with every row that is written
        std::uint32_t used_unix_s = 0;
        std::int64_t expires_unix_s = 0;  ///< 0: never
        std::vector<float> vector;  ///< as many numbers as its partition's dimension says
        std::string payload;
    };
    struct Erased {
        std::int64_t partition = 0;
        std::uint64_t id = 0;
        std::uint64_t stamp = 0;
    };
    using OnErased = std::function<void(const Erased&)>;

    /// Makes the file or brings it up to date. `precision`: how vectors are written; both kinds can be read.
    [[nodiscard]] static Result<std::unique_ptr<VectorFile>> open(const std::string& path,
                                                                  Precision precision);

    /// Made with the file: no other file has it.
    [[nodiscard]] std::uint64_t identity() const noexcept { return identity_; }
    [[nodiscard]] Result<void> each_partition(
        const std::function<void(std::int64_t number, const Partition& partition)>& on_partition);
    [[nodiscard]] Result<bool> is_empty(std::int64_t partition);
    /// Numbers of partitions that are gone and have rows left.
    [[nodiscard]] Result<std::vector<std::int64_t>> left_behind();
    [[nodiscard]] Result<std::uint64_t> count();
    /// Greater than any that a row has had; so with partitions.
    [[nodiscard]] Result<std::uint64_t> next_stamp();
    [[nodiscard]] Result<std::int64_t> next_partition();

    /// All rows of a partition, by ascending stamp. Rows that are damaged are told to `on_damaged` instead.
    [[nodiscard]] Result<void> load(std::int64_t partition, std::uint32_t dimension,
                                    const std::function<void(Row&&)>& on_row,
                                    const OnErased& on_damaged);

    [[nodiscard]] Result<sqlite::Transaction> begin();
    /// Known already: nothing happens.
    [[nodiscard]] Result<void> add_partition(std::int64_t number, const Partition& partition);
    /// Its rows are left behind.
    [[nodiscard]] Result<void> forget_partition(std::int64_t number);
    /// Replaces; true: there was one.
    [[nodiscard]] Result<bool> write(const Row& row);
    [[nodiscard]] Result<bool> erase(std::int64_t partition, std::uint64_t id);
    /// True: it was there.
    [[nodiscard]] Result<bool> erase_stamp(std::uint64_t stamp);
    [[nodiscard]] Result<void> note_use(std::uint64_t stamp, std::uint32_t unix_s);
    /// At most `limit` rows, each time. How many it were.
    [[nodiscard]] Result<int> erase_of(std::int64_t partition, int limit);
    [[nodiscard]] Result<int> erase_expired(std::int64_t now_unix_s, int limit,
                                            const OnErased& erased);
    [[nodiscard]] Result<int> erase_oldest(int limit, const OnErased& erased);
    /// Gives a bounded number of unused pages back to the file system when there are many.
    [[nodiscard]] Result<void> shrink();

private:
    using Statement = sqlite::Statement;
    VectorFile(sqlite::Database db, Precision precision)
        : db_(std::move(db)), precision_(precision) {}
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] static Result<int> run(Statement& statement, const OnErased& on_row);

    sqlite::Database db_;
    const Precision precision_;
    std::uint64_t identity_ = 0;
    struct Statements;
    struct Drop {
        void operator()(Statements* statements) const noexcept;
    };
    std::unique_ptr<Statements, Drop> sql_;  // after db_: must go first
};

}  // namespace leeway::store::vectors
