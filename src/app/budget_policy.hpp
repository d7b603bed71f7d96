#pragma once

#include "guard/budget/book.hpp"
#include "guard/budget/lease_keeper.hpp"
#include "pipeline/context.hpp"
#include "pipeline/model.hpp"

#include <map>
#include <string>
#include <vector>

namespace leeway::app {

/// Budgets as one snapshot sees them. Immutable but for the book, which is thread-safe and outlives it.
struct BudgetPolicy {
    budget::Book* book = nullptr;
    budget::LeaseKeeper* leases = nullptr;  ///< null: the budgets are this gateway's alone
    std::map<std::string, const pipeline::Model*, std::less<>> degrade;  ///< by the budget's name
};

/// What a request counts for: everyone, its key and the key's team, and the user, session and tags that
/// its dimensions name.
[[nodiscard]] std::vector<budget::Scope> scopes_of(const pipeline::RequestContext& context);

}  // namespace leeway::app
