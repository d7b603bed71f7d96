#pragma once

#include "base/result.hpp"
#include "guard/budget/spec.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leeway::budget {

// Several gateways share a budget by leasing slices of it from one pool: a slice counts as spent from the
// moment it is leased until it is given back or its window is over. So a gateway that dies or is cut off can
// only make less be spent, never more. docs/adr/0007-shared-budgets.md.

/// What one gateway needs for one account: one limit for one value of its scope.
struct LeaseWant {
    std::string account;  ///< "daily/team:travel": the same in all gateways
    Unit unit = Unit::kUsd;
    std::int64_t limit = 0;
    std::int64_t period =
        0;  ///< what the lease counts for: begin of a calendar window, or of a slot
    std::int64_t window_begin = 0;  ///< the first period that counts now
    std::int64_t window_end = 0;  ///< after that nobody needs to know
    std::int64_t amount = 0;  ///< at least; more may be leased ahead
    /// What was spent before there was a pool, by period: used by whoever makes it.
    std::vector<std::pair<std::int64_t, std::int64_t>> past;
};

/// A slice, or nothing.
struct LeaseGrant {
    std::string account;
    std::int64_t period = 0;
    std::int64_t amount = 0;
    std::int64_t left = 0;  ///< in the pool, for all gateways
};

/// A part of a slice that is not needed; negative: spent beyond the slice, which nothing can prevent.
struct LeaseReturn {
    std::string account;
    Unit unit = Unit::kUsd;
    std::int64_t period = 0;
    std::int64_t amount = 0;
};

/// How much of what is left is leased when `need` is asked for: enough that a busy gateway asks seldom, little
/// enough that one gateway's idle slice is no large part of the budget.
[[nodiscard]] constexpr std::int64_t slice_of(std::int64_t left, std::int64_t need) noexcept {
    if (left <= need) return left < 0 ? 0 : left;
    const std::int64_t eighth = left / 8;
    return eighth > need ? eighth : need;
}

/// The pool. One thread at a time; calls wait for a server. After an error it is not known whether the call
/// was carried out.
class LeaseSource {
public:
    LeaseSource() = default;
    LeaseSource(const LeaseSource&) = delete;
    LeaseSource& operator=(const LeaseSource&) = delete;
    virtual ~LeaseSource() = default;
    /// A grant for each want, durable when it returns.
    [[nodiscard]] virtual Result<std::vector<LeaseGrant>> take(
        std::span<const LeaseWant> wants) = 0;
    /// Without returns: an error says that `take` could not be carried out either.
    [[nodiscard]] virtual Result<void> give_back(std::span<const LeaseReturn> returns) = 0;
};

}  // namespace leeway::budget
