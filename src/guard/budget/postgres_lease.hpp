#pragma once

#include "guard/budget/lease.hpp"
#include "store/sql/database.hpp"

#include <optional>

namespace leeway::budget {

/// The pool as the table `budget_pool` in the ledger's PostgreSQL database (docs/formats/budgets.md). Connects
/// when it is needed, and again after an error.
class PostgresLease final : public LeaseSource {
public:
    explicit PostgresLease(Secret url) : target_(std::move(url)) {}
    [[nodiscard]] Result<std::vector<LeaseGrant>> take(std::span<const LeaseWant> wants) override;
    [[nodiscard]] Result<void> give_back(std::span<const LeaseReturn> returns) override;

private:
    struct Session {
        explicit Session(store::sql::Database database) : db(std::move(database)) {}
        store::sql::Database db;
        std::optional<store::sql::Statement> lock, forget, sum, add;
    };
    [[nodiscard]] Result<void> connect();
    [[nodiscard]] Result<void> begin();
    [[nodiscard]] Result<LeaseGrant> take_one(const LeaseWant& want);
    [[nodiscard]] Result<void> add(const std::string& account, std::int64_t period,
                                   std::int64_t amount);

    const store::sql::Target target_;
    std::optional<Session> session_;
};

}  // namespace leeway::budget
