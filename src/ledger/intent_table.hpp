#pragma once

#include "ledger/intent.hpp"
#include "store/sql/database.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
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
/// in the moment its outcome comes. What a batch changes is kept in memory until `write`: an attempt that began
/// and ended within it leaves nothing to store, and a scope is charged once for all its requests. Ledger thread
/// only; void after an error, like the writer.
class IntentTable {
public:
    /// `gateway`: a name that no other gateway of this database has.
    [[nodiscard]] static Result<std::unique_ptr<IntentTable>> open(store::sql::Database& db,
                                                                   std::string gateway);

    /// Nothing happens when it was here before.
    void add(Intent intent);
    [[nodiscard]] std::size_t count() const noexcept { return open_.size(); }
    /// `record` is a new row: charges its scopes and removes its intents.
    void close(const RequestRecord& record);
    /// The row of `id` was in the database before, and so were its charges: what it read of intents again is void.
    void forget(const RequestId& id) { open_.erase(id); }
    /// Writes what changed. `look_up`: an intent may have its outcome in the database already; false: the caller
    /// knows that none of those added has.
    [[nodiscard]] Result<void> write(bool look_up);
    /// Requests with an open intent: the rows that stand for them when their process is gone.
    [[nodiscard]] std::vector<RequestRecord> unknown_outcomes() const;

private:
    struct IdHash {
        std::size_t operator()(const RequestId& id) const noexcept;
    };
    struct Open {
        Intent intent;
        bool stored = false;  // in the database
    };
    struct Spent {
        PicoUsdSum amount;
        std::int64_t tokens = 0;
    };
    using Slot = std::pair<std::int64_t, std::string>;  // which quarter of an hour, which scope
    struct SlotOrder {
        using is_transparent = void;
        template <class A, class B>
        bool operator()(const A& a, const B& b) const noexcept {
            if (a.first != b.first) return a.first < b.first;
            return std::string_view(a.second) < std::string_view(b.second);
        }
    };
    IntentTable(store::sql::Database& db, std::string gateway)
        : db_(db), gateway_(std::move(gateway)) {}
    [[nodiscard]] Result<void> load();
    void charge(const Intent& intent, const Charge& charge);
    [[nodiscard]] Result<bool> has_outcome(const RequestId& id);
    [[nodiscard]] Result<void> store(Open& one);
    [[nodiscard]] Result<void> write_spent();

    store::sql::Database& db_;
    const std::string gateway_;  // whose intents: those of others are none of our business
    std::optional<store::sql::Statement> insert_, remove_, spend_, outcome_;
    std::unordered_map<RequestId, std::vector<Open>, IdHash> open_;
    // Of this batch:
    std::vector<RequestId> added_;
    std::vector<RequestId> closed_;  // of those that are stored
    std::map<Slot, Spent, SlotOrder> spent_;
    std::string buffer_;
};

}  // namespace leeway::ledger
