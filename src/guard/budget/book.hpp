#pragma once

#include "base/ids.hpp"
#include "base/money.hpp"
#include "guard/budget/lease.hpp"
#include "guard/budget/spec.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace leeway::budget {

/// Why a reservation was refused.
struct Refusal {
    std::string budget;
    Scope scope;
    Unit unit = Unit::kUsd;
    std::int64_t limit = 0;
    std::int64_t left = 0;  ///< limit − posted − pending, not below 0
    std::int64_t wanted = 0;
    std::int64_t resets_unix_s = 0;
    bool short_of_slice = false;  ///< the pool may have more: ask it, then try again
};

/// How one limit stands, for lists and metrics.
struct Standing {
    std::string budget;
    Scope scope;
    Unit unit = Unit::kUsd;
    bool hard = true;
    std::string per;
    std::int64_t limit = 0;
    Int128 posted = 0;
    Int128 pending = 0;
    std::int64_t resets_unix_s = 0;
};

/// A threshold that was passed: once for each window, threshold and scope.
struct Alert {
    std::string budget;
    Scope scope;
    Unit unit = Unit::kUsd;
    std::uint32_t threshold_bp = 0;
    Int128 posted = 0;
    std::int64_t limit = 0;
    std::int64_t window_begin_s = 0;
    std::int64_t resets_unix_s = 0;
};

/// What is wanted before a dispatch.
struct Reservation {
    RequestId operation;
    std::uint32_t attempt = 1;
    std::span<const Scope> scopes;
    Amount worst;  ///< no answer can cost more
    Amount floor;  ///< the least that is charged when the outcome stays unknown
    std::int64_t now_s = 0;
};

enum class Settled : std::uint8_t {
    kPosted,
    kSame,  ///< settled before with the same amount: nothing was done
    kConflict,  ///< settled before with another amount: nothing was done, counted as an alarm
    kUnheard,  ///< there is no such reservation (any more): nothing was done
};

struct BookCounters {
    std::uint64_t reserved = 0, refused = 0, posted = 0, released = 0, unknown = 0;
    std::uint64_t same = 0, conflicts = 0, unheard = 0;
    std::uint64_t overshoots = 0;  ///< settlements above their reservation
    std::uint64_t alerts_dropped = 0;  ///< nobody took them
    std::uint64_t open = 0;  ///< reservations now
};

/// What was posted to a scope in one slot, by earlier processes.
struct PastSpending {
    Scope scope;
    std::int64_t slot = 0;
    Int128 pico_usd = 0;
    std::int64_t tokens = 0;
};

/// All budgets of one process: what is posted and what is reserved, for each limit and each value of its
/// scope. Does no I/O and reads no clock. Thread-safe: one lock, held for a few look-ups.
///
/// Time may jump. A window that was entered is never left for an earlier one, so a clock that goes back
/// neither reopens what is spent nor empties a window twice.
class Book {
public:
    /// Takes these limits. A limit that stays (name, scope, unit and window) keeps what it knows, so a
    /// running reservation is settled where it was made; one that is new starts with what `past` says
    /// (of all scopes, in any order) and with the reservations that are open. `now_s`: what is over by
    /// then is left out. A threshold that `past` has passed raises its alert again: an earlier process may not
    /// have told it.
    void configure(std::vector<BudgetSpec> specs, std::span<const PastSpending> past,
                   std::int64_t now_s);
    /// While it is not known what was spent before, nothing may be admitted: who reserves asks first. Any
    /// thread.
    void set_waiting(bool waiting) noexcept { waiting_.store(waiting, std::memory_order_release); }
    [[nodiscard]] bool waiting() const noexcept { return waiting_.load(std::memory_order_acquire); }
    /// From now on hard limits are shared: what is reserved must be covered by slices of a pool. Before the first
    /// `configure`.
    void share() noexcept { shared_ = true; }
    [[nodiscard]] bool shared() const noexcept { return shared_; }
    /// What refused reservations need, once each.
    [[nodiscard]] std::vector<LeaseWant> take_wants();
    /// The answer to take_wants.
    void grant(const LeaseGrant& grant);
    /// What need not be leased any more, and debts. Of slices, the free part of those that nobody drew on since
    /// the last call but one; `all`: of every slice, for the end.
    [[nodiscard]] std::vector<LeaseReturn> take_returns(bool all);
    /// True when a limit of `specs` needs `past`.
    [[nodiscard]] bool needs_past(std::span<const BudgetSpec> specs) const;

    /// Reserves in all limits that apply, or in none and says why: when posted + pending + worst would
    /// pass a hard limit. `operation` and `attempt` must be new.
    [[nodiscard]] std::optional<Refusal> reserve(const Reservation& wanted);
    /// The most that could be reserved for these scopes now; INT64_MAX where no hard limit applies.
    [[nodiscard]] Amount room(std::span<const Scope> scopes, std::int64_t now_s);
    /// True when a limit in `unit` applies to one of the scopes; `hard_only`: a hard one.
    [[nodiscard]] bool limits(std::span<const Scope> scopes, Unit unit, bool hard_only) const;

    /// The attempt cost this: posted in full, also above the reservation (`overshoots`).
    Settled settle(const RequestId& operation, std::uint32_t attempt, Amount actual);
    /// Nothing was sent: the reservation ends without a charge.
    Settled release(const RequestId& operation, std::uint32_t attempt);
    /// Nobody knows what it cost: max(counted, floor) stays charged. Returns what was.
    Amount mark_unknown(const RequestId& operation, std::uint32_t attempt, Amount counted);

    [[nodiscard]] std::vector<Standing> standings(std::int64_t now_s);
    [[nodiscard]] BookCounters counters() const;
    /// Alerts since the last call, oldest first.
    [[nodiscard]] std::vector<Alert> take_alerts();

private:
    struct Posted {
        std::int64_t slot = 0;
        Int128 amount = 0;
    };
    /// A shared account's part of its pool, for reservations of one period.
    struct Slice {
        std::int64_t period = INT64_MIN;
        std::int64_t granted = 0;
        std::int64_t used = 0;  // reserved or posted
        std::int64_t wanted = 0;
        std::int64_t pool_left = INT64_MAX;  // as last told
        std::int64_t asked_s = INT64_MIN;  // arrival of the latest request that drew on it
        std::int64_t told_s = INT64_MIN;  // that at the last answer
        std::uint32_t idle = 0;  // rounds of take_returns without a reservation
        [[nodiscard]] std::int64_t free() const noexcept { return granted - used; }
    };
    struct Account {
        std::size_t spec = 0;
        Scope scope;
        Window window;
        Int128 posted = 0;
        Int128 pending = 0;
        std::deque<Posted> slots;  // of a rolling window
        std::size_t alerted = 0;
        std::uint64_t holds = 0;  // reservations that point here
        Slice slice;
    };
    struct Hold {
        Account* account = nullptr;
        std::int64_t window_begin = 0;
        std::int64_t amount = 0;
        std::int64_t period = INT64_MIN;  // of the slice
    };
    struct OperationKey {
        RequestId id;
        std::uint32_t attempt = 0;
        friend bool operator==(const OperationKey&, const OperationKey&) = default;
    };
    struct OperationHash {
        std::size_t operator()(const OperationKey& key) const noexcept;
    };
    struct Open {
        std::vector<Hold> holds;
        std::vector<Scope> scopes;
        Amount worst, floor;
        std::int64_t now_s = 0;
    };
    struct Closed {
        OperationKey key;
        Amount amount;
        bool used = false;
    };
    [[nodiscard]] static std::size_t place_of(const OperationKey& key) noexcept;
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    struct Limit {
        BudgetSpec spec;
        std::unordered_map<std::string, std::unique_ptr<Account>, TextHash, std::equal_to<>>
            accounts;
    };

    [[nodiscard]] Account& account(std::size_t limit, const Scope& scope, std::int64_t now_s);
    void enter(Account& account, std::int64_t now_s);
    void post(Account& account, const Hold& hold, std::int64_t slot, std::int64_t amount);
    void raise_alerts(Account& account, bool silently);
    Settled close(const RequestId& operation, std::uint32_t attempt, const Amount* actual,
                  Amount counted, Amount* charged);
    [[nodiscard]] bool leased(const BudgetSpec& spec) const noexcept {
        return shared_ && spec.hard;
    }
    void enter_period(Account& account, std::int64_t now_s);
    /// False: `refusal` says why.
    [[nodiscard]] bool draw(Account& account, std::int64_t amount, std::int64_t now_s,
                            std::optional<Refusal>& refusal);
    void settle_slice(Account& account, const Hold& hold, std::int64_t amount);
    void return_later(const Account& account, std::int64_t period, std::int64_t amount);
    void forget_idle(Limit& limit, std::int64_t now_s);
    template <class Visit>
    void each_account(std::span<const Scope> scopes, std::int64_t now_s, const Visit& visit);

    std::atomic<bool> waiting_{false};
    bool shared_ = false;
    std::vector<LeaseReturn> returns_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Limit>> limits_;
    std::vector<std::unique_ptr<Limit>> retired_;  // reservations still point there
    std::unordered_map<OperationKey, Open, OperationHash> open_;
    std::vector<Closed> closed_;  // by place_of
    std::vector<Account*> touched_;  // of the call at hand
    std::vector<Alert> alerts_;
    BookCounters counters_;
};

}  // namespace leeway::budget
