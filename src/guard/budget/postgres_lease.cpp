#include "guard/budget/postgres_lease.hpp"

#include <algorithm>
#include <utility>

namespace leeway::budget {

Result<void> PostgresLease::connect() {
    if (session_) return {};
    auto db = store::sql::Database::open(target_);
    if (!db) return fail(std::move(db.error()));
    session_.emplace(std::move(*db));
    // A row may not be there yet, so the account is locked by its name; in one order everywhere.
    const std::pair<const char*, std::optional<store::sql::Statement>*> statements[] = {
        {"SELECT pg_advisory_xact_lock(hashtextextended(?1, 7811894712059253608))",
         &session_->lock},
        {"DELETE FROM budget_pool WHERE account = ?1 AND period < ?2", &session_->forget},
        {"SELECT count(*), coalesce(sum(taken), 0) FROM budget_pool WHERE account = ?1 AND"
         " period >= ?2",
         &session_->sum},
        {"INSERT INTO budget_pool AS o VALUES (?1, ?2, ?3) ON CONFLICT (account, period)"
         " DO UPDATE SET taken = o.taken + excluded.taken",
         &session_->add}};
    for (const auto& [sql, statement] : statements) {
        auto made = session_->db.prepare(sql);
        if (!made) {
            session_.reset();
            return fail(std::move(made.error()));
        }
        statement->emplace(std::move(*made));
    }
    return {};
}

/// A connection that broke while nobody used it is no failure: nothing was asked yet.
Result<void> PostgresLease::begin() {
    if (session_ && session_->db.exec("BEGIN")) return {};
    session_.reset();
    if (auto done = connect(); !done) return done;
    return session_->db.exec("BEGIN");
}

Result<void> PostgresLease::add(const std::string& account, std::int64_t period,
                                std::int64_t amount) {
    session_->add->bind(1, account).bind(2, period).bind(3, amount);
    return session_->add->run();
}

Result<LeaseGrant> PostgresLease::take_one(const LeaseWant& want) {
    session_->lock->bind(1, want.account);
    if (auto locked = session_->lock->run(); !locked) return fail(std::move(locked.error()));
    // One window more than counts: another gateway's clock may be behind.
    const std::int64_t old = want.window_begin - (want.window_end - want.window_begin);
    session_->forget->bind(1, want.account).bind(2, old);
    if (auto done = session_->forget->run(); !done) return fail(std::move(done.error()));
    session_->sum->bind(1, want.account).bind(2, want.window_begin);
    const auto row = session_->sum->step();
    if (!row) return fail(row.error());
    const bool made = session_->sum->int64(0) > 0;
    std::int64_t taken = session_->sum->int64(1);
    session_->sum->reset();
    if (!made) {
        for (const auto& [period, amount] : want.past) {
            if (auto done = add(want.account, period, amount); !done) {
                return fail(std::move(done.error()));
            }
            taken += amount;
        }
    }
    LeaseGrant grant{want.account, want.period, slice_of(want.limit - taken, want.amount), 0};
    grant.left = std::max<std::int64_t>(want.limit - taken - grant.amount, 0);
    // Also nothing: then there is a pool, and nobody adds the past again.
    if (auto done = add(want.account, want.period, grant.amount); !done) {
        return fail(std::move(done.error()));
    }
    return grant;
}

Result<std::vector<LeaseGrant>> PostgresLease::take(std::span<const LeaseWant> wants) {
    const auto work = [&]() -> Result<std::vector<LeaseGrant>> {
        if (auto done = begin(); !done) return fail(std::move(done.error()));
        std::vector<LeaseGrant> out;
        for (const LeaseWant& want : wants) {
            auto grant = take_one(want);
            if (!grant) return fail(std::move(grant.error()));
            out.push_back(std::move(*grant));
        }
        if (auto done = session_->db.exec("COMMIT"); !done) return fail(std::move(done.error()));
        return out;
    };
    auto out = work();
    if (!out) session_.reset();
    return out;
}

Result<void> PostgresLease::give_back(std::span<const LeaseReturn> returns) {
    const auto work = [&]() -> Result<void> {
        if (auto done = begin(); !done) return done;
        for (const LeaseReturn& one : returns) {
            session_->lock->bind(1, one.account);
            if (auto done = session_->lock->run(); !done) return done;
            if (auto done = add(one.account, one.period, -one.amount); !done) return done;
        }
        return session_->db.exec("COMMIT");
    };
    auto done = work();
    if (!done) session_.reset();
    return done;
}

}  // namespace leeway::budget
