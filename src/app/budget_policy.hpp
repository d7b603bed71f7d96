#pragma once

#include "app/config.hpp"
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
    struct Action {
        OnExceeded what = OnExceeded::kRefuse;
        const pipeline::Model* model = nullptr;  ///< of kDegrade
    };
    std::map<std::string, Action, std::less<>> actions;  ///< by the budget's name; none: refuse
};

/// What a request counts for by its key: everyone, the key and the key's team.
[[nodiscard]] std::vector<budget::Scope> caller_scopes(const pipeline::RequestContext& context);
/// And by what its dimensions name: user, session and tags.
[[nodiscard]] std::vector<budget::Scope> told_scopes(const pipeline::RequestContext& context);
/// Both.
[[nodiscard]] std::vector<budget::Scope> scopes_of(const pipeline::RequestContext& context);

}  // namespace leeway::app
