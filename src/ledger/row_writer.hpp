#pragma once

#include "base/result.hpp"
#include "ledger/intent_table.hpp"
#include "ledger/record.hpp"
#include "ledger/rollup_writer.hpp"
#include "ledger/schema.hpp"
#include "store/sql/database.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace leeway::ledger {

/// Writes records into the ledger's tables, one transaction per batch, and keeps the daily roll-ups
/// in the same transaction. Ledger thread only. After an error the batch is void: throw the writer
/// away and open a new one.
class RowWriter {
public:
    /// Opens (or makes) the database and brings its schema up to date.
    /// `gateway` as for IntentTable.
    [[nodiscard]] static Result<std::unique_ptr<RowWriter>> open(
        const store::sql::Target& target, store::sqlite::Durability durability,
        std::string gateway = {});

    [[nodiscard]] Result<void> begin();
    /// False: the record is in the database already and nothing was changed. PostgreSQL: always true, the
    /// whole batch is sent with the commit, and its errors show there.
    [[nodiscard]] Result<bool> add(const RequestRecord& record);
    /// Nothing happens when it, or its outcome, was here before.
    void add(const Intent& intent);
    /// How many records turned out to be in the database already, of those where `add` could not say.
    [[nodiscard]] Result<std::size_t> commit();

    [[nodiscard]] store::sql::Database& database() noexcept { return db_; }
    [[nodiscard]] IntentTable& intents() noexcept { return *intents_; }

private:
    /// Remembers what is bound to each parameter: most columns of most rows repeat, and comparing is
    /// several times cheaper than binding.
    class IntBinder {
    public:
        explicit IntBinder(store::sql::Statement& statement) : statement_(statement) {}
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
        /// A label: its number, or `text` itself where it has none.
        /// `text_index`: parameter of the text; 0: the same one.
        void label(std::size_t index, std::size_t text_index, std::int64_t id,
                   std::string_view text) noexcept;
        void usage(std::size_t first, prices::UsageState state,
                   const prices::Usage& usage) noexcept;

    private:
        store::sql::Statement& statement_;
        std::array<std::optional<std::int64_t>, 72> bound_{};
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
    using Texts = std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

    explicit RowWriter(store::sql::Database db) : db_(std::move(db)) {}
    [[nodiscard]] Result<void> prepare(std::string gateway);
    [[nodiscard]] Result<void> catch_up();
    [[nodiscard]] Result<bool> add_now(const RequestRecord& record);
    [[nodiscard]] Result<std::size_t> add_waiting();
    [[nodiscard]] Result<std::int64_t> name_id(std::string_view text, Memo& memo);
    [[nodiscard]] Result<void> add_attempt(const RequestRecord& record, const AttemptRow& attempt,
                                           std::uint32_t number, std::int64_t day);
    /// The number of what a caller chose; kOtherLabel when there are too many.
    [[nodiscard]] Result<std::int64_t> label_id(LabelKind kind, std::string_view text);
    [[nodiscard]] Result<void> add_labels(const RequestRecord& record, std::int64_t day,
                                          std::int64_t user, std::int64_t agent,
                                          const Totals& totals);

    store::sql::Database db_;  // outlives the statements below
    std::optional<store::sql::Transaction> transaction_;
    std::optional<store::sql::Statement> find_requests_, insert_name_, insert_request_,
        insert_attempt_, insert_label_;
    std::optional<IntBinder> request_, attempt_;
    std::unique_ptr<IntentTable> intents_;
    Texts names_;
    std::array<Texts, 5> labels_;  // by kind
    Memo key_, route_, endpoint_, model_, provider_, attempt_model_;
    std::vector<std::variant<RequestRecord, Intent>> waiting_;  // PostgreSQL: the batch
    std::optional<RollupWriter> rollups_;
};

}  // namespace leeway::ledger
