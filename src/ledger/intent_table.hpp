#pragma once

#include "ledger/intent.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace leeway::ledger {

/// What an attempt is charged to its budgets: what it cost or, when nobody knows, its reservation. The one
/// rule for the ledger and for the book in memory.
struct Charge {
    std::int64_t pico_usd = 0;
    std::int64_t tokens = 0;
};
[[nodiscard]] Charge charge_of(const AttemptRow& attempt, PicoUsd worst,
                               std::int64_t worst_tokens) noexcept;

/// The open intents, and what was spent per scope. Inside the row writer's transactions, so that an intent goes
/// in the moment its outcome comes. Ledger thread only; void after an error, like the writer.
class IntentTable {
public:
    /// `gateway`: a name that no other gateway of this database has.
    [[nodiscard]] static Result<std::unique_ptr<IntentTable>> open(store::sql::Database& db,
                                                                   std::string gateway);

    /// Nothing happens when it was here before. The caller knows that its outcome is not in the database.
    [[nodiscard]] Result<void> add(const Intent& intent);
    /// Whether any is open; false costs nothing.
    [[nodiscard]] bool any() const noexcept { return !open_.empty(); }
    [[nodiscard]] std::size_t count() const noexcept { return open_.size(); }
    /// `record` is a new row: charges its scopes and removes its intents.
    [[nodiscard]] Result<void> close(const RequestRecord& record);
    /// Requests with an open intent: the rows that stand for them when their process is gone.
    [[nodiscard]] std::vector<RequestRecord> unknown_outcomes() const;

private:
    struct IdHash {
        std::size_t operator()(const RequestId& id) const noexcept;
    };
    IntentTable(store::sql::Database& db, std::string gateway)
        : db_(db), gateway_(std::move(gateway)) {}
    [[nodiscard]] Result<void> load();
    [[nodiscard]] Result<void> charge(const Intent& intent, const Charge& charge);

    store::sql::Database& db_;
    const std::string gateway_;  // whose intents: those of others are none of our business
    std::optional<store::sql::Statement> insert_, remove_, spend_;
    std::unordered_map<RequestId, std::vector<Intent>, IdHash> open_;
    std::string buffer_;
};

}  // namespace leeway::ledger
