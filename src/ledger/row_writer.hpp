#pragma once

#include "base/result.hpp"
#include "ledger/intent_table.hpp"
#include "ledger/record.hpp"
#include "ledger/totals.hpp"
#include "store/sqlite/database.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::ledger {

/// Writes records into the ledger's tables, one transaction per batch, and keeps the daily roll-ups
/// in the same transaction. Ledger thread only. After an error the batch is void: throw the writer
/// away and open a new one.
class RowWriter {
public:
    /// Opens (or makes) the database and brings its schema up to date.
    [[nodiscard]] static Result<std::unique_ptr<RowWriter>> open(
        const std::string& path, store::sqlite::Durability durability);

    [[nodiscard]] Result<void> begin();
    /// False: the record is in the database already and nothing was changed.
    [[nodiscard]] Result<bool> add(const RequestRecord& record);
    [[nodiscard]] Result<void> commit();

    [[nodiscard]] store::sqlite::Database& database() noexcept { return db_; }
    [[nodiscard]] IntentTable& intents() noexcept { return *intents_; }

private:
    /// Remembers what is bound to each parameter: most columns of most rows repeat, and comparing is
    /// several times cheaper than binding.
    class IntBinder {
    public:
        explicit IntBinder(store::sqlite::Statement& statement) : statement_(statement) {}
        void operator()(std::size_t index, std::int64_t value) noexcept {
            if (bound_[index] == value) return;
            statement_.bind(static_cast<int>(index), value);
            bound_[index] = value;
        }
        void null(std::size_t index) noexcept {
            if (!bound_[index]) return;  // also the state of a fresh statement
            statement_.bind_null(static_cast<int>(index));
            bound_[index].reset();
        }
        void operator()(std::size_t index, const std::optional<PicoUsd>& value) noexcept {
            value ? (*this)(index, value->value()) : null(index);
        }
        void usage(std::size_t first, prices::UsageState state,
                   const prices::Usage& usage) noexcept;

    private:
        store::sqlite::Statement& statement_;
        std::array<std::optional<std::int64_t>, 64> bound_{};
    };
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    /// The last name of a column and its number: rows of one batch mostly repeat it.
    struct Memo {
        std::string text;
        std::int64_t id = 0;
    };
    struct GroupKey {
        std::int64_t day = 0;
        std::int64_t key = 0;
        std::int64_t route = 0;
        std::int64_t model = 0;
        friend bool operator==(const GroupKey&, const GroupKey&) = default;
    };
    struct Group {
        GroupKey key;
        Totals totals;
    };

    explicit RowWriter(store::sqlite::Database db) : db_(std::move(db)) {}
    [[nodiscard]] Result<void> prepare();
    [[nodiscard]] Result<std::int64_t> name_id(std::string_view text, Memo& memo);
    [[nodiscard]] Result<void> add_attempt(const RequestRecord& record, const AttemptRow& attempt,
                                           std::uint32_t number);
    void add_to_group(const GroupKey& key, const RequestRecord& record);
    [[nodiscard]] Result<void> write_groups();

    store::sqlite::Database db_;  // outlives the statements below
    std::optional<store::sqlite::Statement> begin_, commit_, insert_name_, insert_request_,
        insert_attempt_, upsert_rollup_;
    std::optional<IntBinder> request_, attempt_;
    std::unique_ptr<IntentTable> intents_;
    std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>> names_;
    Memo key_, route_, endpoint_, model_, provider_, attempt_model_;
    std::vector<Group> groups_;
};

}  // namespace leeway::ledger
