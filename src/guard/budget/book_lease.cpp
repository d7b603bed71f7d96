#include "guard/budget/book.hpp"

#include <algorithm>

namespace leeway::budget {
namespace {

// An answer of the pool stands for so long: nobody asks it again for each refused request.
constexpr std::int64_t kBelievedSeconds = 1;
constexpr std::uint32_t kIdleRounds = 2;

std::string account_name(const BudgetSpec& spec, const Scope& scope) {
    return spec.name + '/' + to_string(scope);
}

}  // namespace

void Book::return_later(const Account& account, std::int64_t period, std::int64_t amount) {
    if (amount == 0 || account.spec >= limits_.size()) return;
    const BudgetSpec& spec = limits_[account.spec]->spec;
    returns_.push_back({account_name(spec, account.scope), spec.unit, period, amount});
}

/// A slice is for reservations of its own period only: it goes out of the count together with them.
void Book::enter_period(Account& account, std::int64_t now_s) {
    const BudgetSpec& spec = limits_[account.spec]->spec;
    const bool rolling = spec.window.per == Per::kRolling;
    const std::int64_t period = rolling ? slot_of(now_s) * kSlotSeconds : account.window.begin;
    Slice& slice = account.slice;
    if (period <= slice.period) return;
    if (rolling && slice.period != INT64_MIN) return_later(account, slice.period, slice.free());
    slice = Slice{};
    slice.period = period;
}

bool Book::draw(Account& account, std::int64_t amount, std::int64_t now_s,
                std::optional<Refusal>& refusal) {
    enter_period(account, now_s);
    Slice& slice = account.slice;
    slice.asked_s = std::max(slice.asked_s, now_s);
    if (slice.free() >= amount) return true;
    const BudgetSpec& spec = limits_[account.spec]->spec;
    const Int128 most = Int128{slice.free()} + slice.pool_left;
    const bool known = slice.told_s >= now_s - kBelievedSeconds && most < amount;
    if (!known) slice.wanted += amount;
    if (!refusal || known) {
        refusal = Refusal{spec.name,
                          account.scope,
                          spec.unit,
                          spec.limit,
                          static_cast<std::int64_t>(std::clamp<Int128>(most, 0, spec.limit)),
                          amount,
                          account.window.end,
                          !known};
    }
    return false;
}

void Book::settle_slice(Account& account, const Hold& hold, std::int64_t amount) {
    if (hold.period == INT64_MIN) return;
    Slice& slice = account.slice;
    if (hold.period != slice.period) {
        return_later(account, hold.period, hold.amount - amount);
        return;
    }
    slice.used += amount - hold.amount;
    if (slice.used > slice.granted) {
        // It cost more than was reserved: the pool must know, whatever is left in it.
        return_later(account, slice.period, slice.granted - slice.used);
        slice.granted = slice.used;
    }
}

std::vector<LeaseWant> Book::take_wants() {
    const std::lock_guard lock(mutex_);
    std::vector<LeaseWant> out;
    for (const auto& limit : limits_) {
        const BudgetSpec& spec = limit->spec;
        for (auto& [value, account] : limit->accounts) {
            const std::int64_t wanted = std::exchange(account->slice.wanted, 0);
            if (wanted <= account->slice.free()) continue;
            LeaseWant want;
            want.account = account_name(spec, account->scope);
            want.unit = spec.unit;
            want.limit = spec.limit;
            want.period = account->slice.period;
            want.window_begin = account->window.begin;
            want.window_end = account->window.end;
            want.amount = wanted - account->slice.free();
            if (spec.window.per == Per::kRolling) {
                for (const Posted& posted : account->slots) {
                    want.past.emplace_back(posted.slot * kSlotSeconds,
                                           static_cast<std::int64_t>(posted.amount));
                }
            } else if (account->posted > 0) {
                want.past.emplace_back(account->window.begin,
                                       static_cast<std::int64_t>(account->posted));
            }
            out.push_back(std::move(want));
        }
    }
    // The same order in all gateways, so that no two wait for each other.
    std::sort(out.begin(), out.end(),
              [](const LeaseWant& a, const LeaseWant& b) { return a.account < b.account; });
    return out;
}

void Book::grant(const LeaseGrant& grant) {
    const std::lock_guard lock(mutex_);
    for (const auto& limit : limits_) {
        if (!grant.account.starts_with(limit->spec.name + '/')) continue;
        for (auto& [value, account] : limit->accounts) {
            if (account_name(limit->spec, account->scope) != grant.account) continue;
            if (account->slice.period != grant.period) {
                return_later(*account, grant.period, grant.amount);
                return;
            }
            account->slice.granted += grant.amount;
            account->slice.pool_left = grant.left;
            account->slice.told_s = account->slice.asked_s;
            return;
        }
    }
}

std::vector<LeaseReturn> Book::take_returns(bool all) {
    const std::lock_guard lock(mutex_);
    for (const auto& limit : limits_) {
        for (auto& [value, account] : limit->accounts) {
            Slice& slice = account->slice;
            if (slice.free() <= 0 || (!all && ++slice.idle <= kIdleRounds)) continue;
            return_later(*account, slice.period, slice.free());
            slice.granted = slice.used;
        }
    }
    std::vector<LeaseReturn> out;
    out.swap(returns_);
    std::sort(out.begin(), out.end(),
              [](const LeaseReturn& a, const LeaseReturn& b) { return a.account < b.account; });
    return out;
}

}  // namespace leeway::budget
