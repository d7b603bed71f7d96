#include "guard/limits/limit_book.hpp"

#include <algorithm>
#include <utility>

namespace leeway::limits {
namespace {

// Callers choose names of users and sessions: past this many per limit those that are full again go.
constexpr std::size_t kManyAccounts = 4096;
constexpr Duration kGuess = std::chrono::seconds(1);

constexpr std::size_t kGone = static_cast<std::size_t>(-1);

void keep_tighter(LimitView::One& held, std::int64_t most, std::int64_t left, Duration full_in) {
    if (held.most > 0 && held.left < left) return;
    if (held.most > 0 && held.left == left && held.full_in >= full_in) return;
    held = {most, left, full_in};
}

}  // namespace

void LimitTicket::settle(std::int64_t tokens, TimePoint now) noexcept {
    if (book_ == nullptr) return;
    const std::lock_guard lock(book_->mutex_);
    for (Held& held : held_) {
        if (held.tokens < 0) continue;
        auto& account = *static_cast<LimitBook::Account*>(held.account);
        if (account.limit == kGone) continue;
        const LimitSpec& spec = book_->limits_[account.limit]->spec;
        if (spec.tokens_per_minute == 0) continue;
        account.tokens.take(tokens - held.tokens, spec.tokens_per_minute, now);
        held.tokens = tokens;
    }
}

void LimitTicket::release() noexcept {
    if (book_ == nullptr) return;
    const std::lock_guard lock(book_->mutex_);
    for (const Held& held : held_) {
        auto& account = *static_cast<LimitBook::Account*>(held.account);
        --account.holds;
        if (held.parallel) --account.running;
    }
    held_.clear();
    book_ = nullptr;
}

void LimitBook::configure(std::vector<LimitSpec> specs) {
    const std::lock_guard lock(mutex_);
    std::vector<std::unique_ptr<Limit>> old;
    old.swap(limits_);
    for (auto& places : by_value_) places.clear();
    for (auto& places : for_all_) places.clear();
    std::unordered_map<std::string_view, std::size_t> names;
    for (std::size_t i = 0; i < old.size(); ++i) names.emplace(old[i]->spec.name, i);
    for (LimitSpec& spec : specs) {
        const auto known = names.find(spec.name);
        Limit* same = known == names.end() ? nullptr : old[known->second].get();
        const bool stays =
            same != nullptr && same->spec.scope == spec.scope && same->spec.match == spec.match;
        std::unique_ptr<Limit> limit;
        if (stays) {
            names.erase(known);  // the key is a view of what moves now
            const auto place = std::find_if(old.begin(), old.end(),
                                            [same](const auto& one) { return one.get() == same; });
            limit = std::move(*place);
        } else {
            limit = std::make_unique<Limit>();
        }
        limit->spec = std::move(spec);
        const std::size_t index = limits_.size();
        for (auto& [value, account] : limit->accounts) {
            account->limit = index;
            account->requests.shrink(limit->spec.requests_per_minute);
            account->tokens.shrink(limit->spec.tokens_per_minute);
        }
        const auto kind = static_cast<std::size_t>(limit->spec.scope);
        if (limit->spec.match.empty()) {
            for_all_[kind].push_back(index);
        } else {
            by_value_[kind][limit->spec.match].push_back(index);
        }
        limits_.push_back(std::move(limit));
    }
    for (auto& limit : old) {
        if (!limit) continue;
        for (auto& [value, account] : limit->accounts) account->limit = kGone;
        retired_.push_back(std::move(limit));
    }
    std::erase_if(retired_, [](const auto& limit) {
        return std::none_of(limit->accounts.begin(), limit->accounts.end(),
                            [](const auto& entry) { return entry.second->holds > 0; });
    });
    empty_.store(limits_.empty(), std::memory_order_relaxed);
}

LimitBook::Account& LimitBook::account(std::size_t index, std::string_view value, TimePoint now) {
    Limit& limit = *limits_[index];
    const auto found = limit.accounts.find(value);
    if (found != limit.accounts.end()) return *found->second;
    // At each doubling only, so that the walk costs a new account little.
    const std::size_t count = limit.accounts.size();
    if (count >= kManyAccounts && (count & (count - 1)) == 0) {
        const LimitSpec& spec = limit.spec;
        std::erase_if(limit.accounts, [&](const auto& entry) {
            Account& one = *entry.second;
            return one.holds == 0 &&
                   one.requests.full_in(spec.requests_per_minute, now) == Duration::zero() &&
                   one.tokens.full_in(spec.tokens_per_minute, now) == Duration::zero();
        });
    }
    auto made = std::make_unique<Account>();
    made->limit = index;
    made->value = value;
    return *limit.accounts.emplace(value, std::move(made)).first->second;
}

void LimitBook::find(std::span<const budget::Scope> scopes, TimePoint now) {
    touched_.clear();
    const auto touch = [&](const std::vector<std::size_t>& places, const budget::Scope& scope) {
        for (const std::size_t place : places) {
            Account& one = account(place, scope.value, now);
            // A tag that is given twice counts once.
            if (std::find(touched_.begin(), touched_.end(), &one) == touched_.end()) {
                touched_.push_back(&one);
            }
        }
    };
    for (const budget::Scope& scope : scopes) {
        const auto kind = static_cast<std::size_t>(scope.kind);
        touch(for_all_[kind], scope);
        const auto own = by_value_[kind].find(std::string_view(scope.value));
        if (own != by_value_[kind].end()) touch(own->second, scope);
    }
}

void LimitBook::look(const LimitSpec& spec, Account& account, TimePoint now, LimitView& view) {
    if (const std::int64_t most = spec.requests_per_minute; most > 0) {
        keep_tighter(view.requests, most, account.requests.left(most, now),
                     account.requests.full_in(most, now));
    }
    if (const std::int64_t most = spec.tokens_per_minute; most > 0) {
        keep_tighter(view.tokens, most, account.tokens.left(most, now),
                     account.tokens.full_in(most, now));
    }
}

std::optional<LimitRefusal> LimitBook::admit(std::span<const budget::Scope> scopes,
                                             const Demand& demand, TimePoint now,
                                             LimitTicket& ticket, LimitView& view) {
    const std::lock_guard lock(mutex_);
    find(scopes, now);
    std::optional<LimitRefusal> refusal;
    const auto refuse = [&](const LimitSpec& spec, const Account& account, Measure measure,
                            std::int64_t most, std::int64_t left, std::int64_t wanted,
                            Duration wait) {
        if (wait == Duration::zero() || (refusal && refusal->wait >= wait)) return;
        refusal =
            LimitRefusal{spec.name, {spec.scope, account.value}, measure, most, left, wanted, wait};
    };
    for (Account* account : touched_) {
        const LimitSpec& spec = limits_[account->limit]->spec;
        if (const auto most = spec.requests_per_minute; demand.request && most > 0) {
            refuse(spec, *account, Measure::kRequests, most, account->requests.left(most, now), 1,
                   account->requests.wait(1, most, now));
        }
        if (const auto most = spec.parallel;
            demand.request && most > 0 && account->running >= most) {
            refuse(spec, *account, Measure::kParallel, most, 0, 1, kGuess);
        }
        if (const auto most = spec.tokens_per_minute; demand.tokens >= 0 && most > 0) {
            refuse(spec, *account, Measure::kTokens, most, account->tokens.left(most, now),
                   demand.tokens, account->tokens.wait(demand.tokens, most, now));
        }
    }
    for (Account* account : touched_) {
        const LimitSpec& spec = limits_[account->limit]->spec;
        if (!refusal) {
            LimitTicket::Held held{account, -1, demand.request};
            if (demand.request) {
                ++account->running;
                if (spec.requests_per_minute > 0) {
                    account->requests.take(1, spec.requests_per_minute, now);
                }
            }
            if (demand.tokens >= 0 && spec.tokens_per_minute > 0) {
                account->tokens.take(demand.tokens, spec.tokens_per_minute, now);
                held.tokens = demand.tokens;
            }
            ++account->holds;
            ticket.book_ = this;
            ticket.held_.push_back(held);
        }
        look(spec, *account, now, view);
    }
    return refusal;
}

}  // namespace leeway::limits
