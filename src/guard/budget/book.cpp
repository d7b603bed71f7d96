#include "guard/budget/book.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace leeway::budget {
namespace {

// How many settled attempts are remembered to tell a repetition from a contradiction, each until another falls
// into its place. Few enough to stay in the processor's cache: a repetition comes at once or never.
constexpr std::size_t kRemembered = 4096;
constexpr std::size_t kMostAlerts = 1024;
// Callers choose names of users and sessions: past this many per limit those whose window is over go.
constexpr std::size_t kManyAccounts = 4096;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::int64_t clamped(Int128 value) noexcept {
    if (value < 0) return 0;
    return value > Int128{kMost} ? kMost : static_cast<std::int64_t>(value);
}

bool applies(const BudgetSpec& spec, const Scope& scope) noexcept {
    return spec.scope == scope.kind && (spec.match.empty() || spec.match == scope.value);
}

bool same_account(const BudgetSpec& a, const BudgetSpec& b) noexcept {
    return a.name == b.name && a.scope == b.scope && a.match == b.match && a.unit == b.unit &&
           same_window(a.window, b.window);
}

}  // namespace

std::string to_string(const Scope& scope) {
    std::string out(to_string(scope.kind));
    if (scope.kind != ScopeKind::kGlobal) out.append(":").append(scope.value);
    return out;
}

std::optional<Scope> parse_scope(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view kind = text.substr(0, colon);
    for (std::size_t i = 0; i < kScopeNames.size(); ++i) {
        if (kScopeNames[i] != kind) continue;
        if ((i == 0) != (colon == std::string_view::npos)) return std::nullopt;
        return Scope{static_cast<ScopeKind>(i), i == 0 ? "" : std::string(text.substr(colon + 1))};
    }
    return std::nullopt;
}

std::size_t Book::OperationHash::operator()(const OperationKey& key) const noexcept {
    std::uint64_t random = 0;  // the last bytes of an id are
    std::memcpy(&random, key.id.bytes.data() + 8, sizeof random);
    return static_cast<std::size_t>(random + key.attempt);
}

std::size_t Book::place_of(const OperationKey& key) noexcept {
    return OperationHash()(key) % kRemembered;
}

/// Moves to the window of `now_s` when that is a later one.
void Book::enter(Account& account, std::int64_t now_s) {
    if (account.window.end != 0 && now_s < account.window.end) return;
    const BudgetSpec& spec = limits_[account.spec]->spec;
    const Window window = window_at(spec.window, now_s);
    account.window = window;
    if (spec.window.per == Per::kRolling) {
        while (!account.slots.empty() && account.slots.front().slot * kSlotSeconds < window.begin) {
            account.posted -= account.slots.front().amount;
            account.slots.pop_front();
        }
        // What fell below a threshold may pass it again.
        while (account.alerted > 0 &&
               account.posted * 10'000 < Int128{spec.alerts_bp[account.alerted - 1]} * spec.limit) {
            --account.alerted;
        }
        return;
    }
    account.posted = 0;
    account.pending = 0;  // what is under way belongs to the window it began in
    account.alerted = 0;
}

void Book::forget_idle(Limit& limit, std::int64_t now_s) {
    std::erase_if(limit.accounts, [&](const auto& entry) {
        const Account& account = *entry.second;
        return account.holds == 0 && account.slice.free() == 0 && account.slice.wanted == 0 &&
               (account.window.end <= now_s || (account.posted == 0 && account.pending == 0));
    });
}

Book::Account& Book::account(std::size_t index, const Scope& scope, std::int64_t now_s) {
    Limit& limit = *limits_[index];
    const auto found = limit.accounts.find(std::string_view(scope.value));
    if (found != limit.accounts.end()) {
        enter(*found->second, now_s);
        return *found->second;
    }
    // At each doubling only, so that the walk costs a new account little.
    const std::size_t count = limit.accounts.size();
    if (count >= kManyAccounts && (count & (count - 1)) == 0) forget_idle(limit, now_s);
    auto made = std::make_unique<Account>();
    made->spec = index;
    made->scope = scope;
    Account& out = *made;
    limit.accounts.emplace(scope.value, std::move(made));
    enter(out, now_s);
    return out;
}

template <class Visit>
void Book::each_account(std::span<const Scope> scopes, std::int64_t now_s, const Visit& visit) {
    for (std::size_t i = 0; i < limits_.size(); ++i) {
        const BudgetSpec& spec = limits_[i]->spec;
        for (std::size_t s = 0; s < scopes.size(); ++s) {
            if (!applies(spec, scopes[s])) continue;
            // A tag that is given twice counts once.
            const auto before = scopes.first(s);
            if (std::find(before.begin(), before.end(), scopes[s]) != before.end()) continue;
            if (!visit(spec, account(i, scopes[s], now_s))) return;
        }
    }
}

std::optional<Refusal> Book::reserve(const Reservation& wanted) {
    const std::lock_guard lock(mutex_);
    touched_.clear();
    std::optional<Refusal> refusal;
    each_account(wanted.scopes, wanted.now_s, [&](const BudgetSpec& spec, Account& account) {
        const std::int64_t amount = wanted.worst.of(spec.unit);
        const Int128 left = Int128{spec.limit} - account.posted - account.pending;
        if (spec.hard && (left < amount || left <= 0)) {
            refusal = Refusal{spec.name,     account.scope, spec.unit,         spec.limit,
                              clamped(left), amount,        account.window.end};
            return false;
        }
        touched_.push_back(&account);
        return true;
    });
    if (!refusal && shared_) {
        // All that are short say so at once: one question to the pool then serves them all.
        for (Account* account : touched_) {
            const BudgetSpec& spec = limits_[account->spec]->spec;
            const bool covered =
                !leased(spec) || draw(*account, wanted.worst.of(spec.unit), wanted.now_s, refusal);
            if (!covered && !refusal->short_of_slice) break;
        }
    }
    if (refusal) {
        counters_.refused += refusal->short_of_slice ? 0 : 1;
        return refusal;
    }
    Open open;
    open.holds.reserve(touched_.size());
    for (Account* account : touched_) {
        const std::int64_t amount = wanted.worst.of(limits_[account->spec]->spec.unit);
        account->pending += amount;
        ++account->holds;
        open.holds.push_back({account, account->window.begin, amount});
        if (leased(limits_[account->spec]->spec)) {
            account->slice.used += amount;
            account->slice.idle = 0;
            open.holds.back().period = account->slice.period;
        }
    }
    open.scopes.assign(wanted.scopes.begin(), wanted.scopes.end());
    open.worst = wanted.worst;
    open.floor = wanted.floor;
    open.now_s = wanted.now_s;
    open_.insert_or_assign({wanted.operation, wanted.attempt}, std::move(open));
    ++counters_.reserved;
    return std::nullopt;
}

Amount Book::room(std::span<const Scope> scopes, std::int64_t now_s) {
    const std::lock_guard lock(mutex_);
    Amount out{kMost, kMost};
    each_account(scopes, now_s, [&](const BudgetSpec& spec, Account& account) {
        if (!spec.hard) return true;
        auto& least = spec.unit == Unit::kUsd ? out.pico_usd : out.tokens;
        least = std::min(least, clamped(Int128{spec.limit} - account.posted - account.pending));
        if (leased(spec)) {
            enter_period(account, now_s);
            least =
                std::min(least, clamped(Int128{account.slice.free()} + account.slice.pool_left));
        }
        return true;
    });
    return out;
}

bool Book::limits(std::span<const Scope> scopes, Unit unit, bool hard_only) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(limits_.begin(), limits_.end(), [&](const auto& limit) {
        const BudgetSpec& spec = limit->spec;
        return spec.unit == unit && (spec.hard || !hard_only) &&
               std::any_of(scopes.begin(), scopes.end(),
                           [&](const Scope& scope) { return applies(spec, scope); });
    });
}

void Book::raise_alerts(Account& account, bool silently) {
    const BudgetSpec& spec = limits_[account.spec]->spec;
    while (account.alerted < spec.alerts_bp.size() &&
           account.posted * 10'000 >= Int128{spec.alerts_bp[account.alerted]} * spec.limit) {
        const std::uint32_t threshold = spec.alerts_bp[account.alerted++];
        if (silently) continue;
        if (alerts_.size() >= kMostAlerts) {
            ++counters_.alerts_dropped;
            continue;
        }
        alerts_.push_back({spec.name, account.scope, spec.unit, threshold, account.posted,
                           spec.limit, account.window.begin, account.window.end});
    }
}

void Book::post(Account& account, const Hold& hold, std::int64_t slot, std::int64_t amount) {
    --account.holds;
    settle_slice(account, hold, amount);
    if (account.spec >= limits_.size()) return;  // of a limit that is no more
    const bool rolling = limits_[account.spec]->spec.window.per == Per::kRolling;
    // A calendar window that is over has taken its reservations with it.
    if (!rolling && hold.window_begin != account.window.begin) return;
    account.pending -= hold.amount;
    if (amount == 0) return;
    if (rolling) {
        if (slot * kSlotSeconds < account.window.begin) return;
        const auto place = std::lower_bound(
            account.slots.begin(), account.slots.end(), slot,
            [](const Posted& posted, std::int64_t wanted) { return posted.slot < wanted; });
        if (place != account.slots.end() && place->slot == slot) {
            place->amount += amount;
        } else {
            account.slots.insert(place, Posted{slot, amount});
        }
    }
    account.posted += amount;
    raise_alerts(account, false);
}

/// `actual` null: unknown, then `counted` or the floor.
Settled Book::close(const RequestId& operation, std::uint32_t attempt, const Amount* actual,
                    Amount counted, Amount* charged) {
    const std::lock_guard lock(mutex_);
    const OperationKey key{operation, attempt};
    const auto found = open_.find(key);
    if (found == open_.end()) {
        const Closed* const before = closed_.empty() ? nullptr : &closed_[place_of(key)];
        if (before == nullptr || !before->used || before->key != key) {
            ++counters_.unheard;
            return Settled::kUnheard;
        }
        if (charged != nullptr) *charged = before->amount;
        const bool same = actual == nullptr || before->amount == *actual;
        ++(same ? counters_.same : counters_.conflicts);
        return same ? Settled::kSame : Settled::kConflict;
    }
    const Open& open = found->second;
    Amount amount;
    if (actual != nullptr) {
        amount = *actual;
    } else {
        amount.pico_usd = std::max(counted.pico_usd, open.floor.pico_usd);
        amount.tokens = std::max(counted.tokens, open.floor.tokens);
    }
    amount.pico_usd = std::max<std::int64_t>(amount.pico_usd, 0);
    amount.tokens = std::max<std::int64_t>(amount.tokens, 0);
    const std::int64_t slot = slot_of(open.now_s);
    for (const Hold& hold : open.holds) {
        const auto& owner = hold.account->spec < limits_.size()
                                ? limits_[hold.account->spec]->spec.unit
                                : Unit::kUsd;
        post(*hold.account, hold, slot, amount.of(owner));
    }
    if (amount.pico_usd > open.worst.pico_usd || amount.tokens > open.worst.tokens) {
        ++counters_.overshoots;
    }
    if (charged != nullptr) *charged = amount;
    open_.erase(found);
    if (closed_.empty()) closed_.resize(kRemembered);
    closed_[place_of(key)] = {key, amount, true};
    return Settled::kPosted;
}

Settled Book::settle(const RequestId& operation, std::uint32_t attempt, Amount actual) {
    const Settled out = close(operation, attempt, &actual, {}, nullptr);
    if (out == Settled::kPosted) {
        const std::lock_guard lock(mutex_);
        ++counters_.posted;
    }
    return out;
}

Settled Book::release(const RequestId& operation, std::uint32_t attempt) {
    const Amount nothing;
    const Settled out = close(operation, attempt, &nothing, {}, nullptr);
    if (out == Settled::kPosted) {
        const std::lock_guard lock(mutex_);
        ++counters_.released;
    }
    return out;
}

Amount Book::mark_unknown(const RequestId& operation, std::uint32_t attempt, Amount counted) {
    Amount charged;
    if (close(operation, attempt, nullptr, counted, &charged) == Settled::kPosted) {
        const std::lock_guard lock(mutex_);
        ++counters_.unknown;
    }
    return charged;
}

bool Book::needs_past(std::span<const BudgetSpec> specs) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(specs.begin(), specs.end(), [&](const BudgetSpec& spec) {
        return std::none_of(limits_.begin(), limits_.end(),
                            [&](const auto& limit) { return same_account(limit->spec, spec); });
    });
}

void Book::configure(std::vector<BudgetSpec> specs, std::span<const PastSpending> past,
                     std::int64_t now_s) {
    const std::lock_guard lock(mutex_);
    std::vector<std::unique_ptr<Limit>> old;
    old.swap(limits_);
    std::vector<bool> fresh;
    for (BudgetSpec& spec : specs) {
        const auto same = std::find_if(old.begin(), old.end(), [&](const auto& limit) {
            return limit && same_account(limit->spec, spec);
        });
        auto limit = same == old.end() ? std::make_unique<Limit>() : std::move(*same);
        fresh.push_back(same == old.end());
        limit->spec = std::move(spec);
        for (auto& [value, account] : limit->accounts) account->spec = limits_.size();
        limits_.push_back(std::move(limit));
    }
    for (auto& limit : old) {
        if (!limit) continue;
        for (auto& [value, account] : limit->accounts) account->spec = kMost;
        retired_.push_back(std::move(limit));
    }
    std::erase_if(retired_, [](const auto& limit) {
        return std::none_of(limit->accounts.begin(), limit->accounts.end(),
                            [](const auto& entry) { return entry.second->holds > 0; });
    });
    for (std::size_t i = 0; i < limits_.size(); ++i) {
        const BudgetSpec& spec = limits_[i]->spec;
        if (!fresh[i]) {
            // Thresholds that a new limit puts behind us are no news.
            for (auto& [value, account] : limits_[i]->accounts) {
                account->alerted = 0;
                raise_alerts(*account, true);
            }
            continue;
        }
        // First how far time has come for each scope, then what counts in that window.
        for (const PastSpending& one : past) {
            if (!applies(spec, one.scope)) continue;
            const std::int64_t then = std::max(now_s, one.slot * kSlotSeconds);
            if (one.slot * kSlotSeconds < window_at(spec.window, now_s).begin) continue;
            (void)account(i, one.scope, then);
        }
        for (const PastSpending& one : past) {
            if (!applies(spec, one.scope)) continue;
            const auto found = limits_[i]->accounts.find(std::string_view(one.scope.value));
            if (found == limits_[i]->accounts.end()) continue;
            Account& to = *found->second;
            const std::int64_t at = one.slot * kSlotSeconds;
            if (at < to.window.begin || at >= to.window.end) continue;
            const Int128 amount = spec.unit == Unit::kUsd ? one.pico_usd : Int128{one.tokens};
            to.posted += amount;
            if (spec.window.per == Per::kRolling) to.slots.push_back({one.slot, amount});
        }
        for (auto& [value, account] : limits_[i]->accounts) {
            std::sort(account->slots.begin(), account->slots.end(),
                      [](const Posted& a, const Posted& b) { return a.slot < b.slot; });
            raise_alerts(*account, false);
        }
        for (auto& [key, open] : open_) {
            for (std::size_t s = 0; s < open.scopes.size(); ++s) {
                if (!applies(spec, open.scopes[s])) continue;
                Account& to = account(i, open.scopes[s], std::max(now_s, open.now_s));
                const bool counts = spec.window.per == Per::kRolling ||
                                    window_at(spec.window, open.now_s).begin == to.window.begin;
                if (!counts) continue;
                const std::int64_t amount = open.worst.of(spec.unit);
                to.pending += amount;
                ++to.holds;
                open.holds.push_back({&to, to.window.begin, amount});
            }
        }
    }
}

std::vector<Standing> Book::standings(std::int64_t now_s) {
    const std::lock_guard lock(mutex_);
    std::vector<Standing> out;
    for (const auto& limit : limits_) {
        const BudgetSpec& spec = limit->spec;
        const std::size_t first = out.size();
        for (auto& [value, account] : limit->accounts) {
            enter(*account, now_s);
            out.push_back({spec.name, account->scope, spec.unit, spec.hard, to_string(spec.window),
                           spec.limit, account->posted, account->pending, account->window.end});
        }
        if (out.size() == first && (spec.scope == ScopeKind::kGlobal || !spec.match.empty())) {
            out.push_back({spec.name, Scope{spec.scope, spec.match}, spec.unit, spec.hard,
                           to_string(spec.window), spec.limit, 0, 0,
                           window_at(spec.window, now_s).end});
        }
        std::sort(
            out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
            [](const Standing& a, const Standing& b) { return a.scope.value < b.scope.value; });
    }
    return out;
}

BookCounters Book::counters() const {
    const std::lock_guard lock(mutex_);
    BookCounters out = counters_;
    out.open = open_.size();
    return out;
}

std::vector<Alert> Book::take_alerts() {
    const std::lock_guard lock(mutex_);
    std::vector<Alert> out;
    out.swap(alerts_);
    return out;
}

}  // namespace leeway::budget
