#include "app/budget_policy.hpp"
#include "app/client_request.hpp"
#include "models/loop_wait.hpp"

namespace leeway::app {
namespace {

// Others may take what the pool gave before we come to it; so often is enough of that.
constexpr int kMostRounds = 8;

pipeline::Reject unavailable(std::string message) {
    return pipeline::Reject{
        Error{ErrorCode::kUnavailable, std::move(message), {}, {}, "ledger_unavailable"}, 1};
}

}  // namespace

/// Reserves, and where this gateway's slice of a shared budget is used up, waits for more of it. A pool that
/// cannot be asked admits nothing: paid work fails closed.
Task<std::optional<pipeline::Reject>> ClientRequest::pass_budgets() {
    using Wait = models::LoopWait<bool>;
    const BudgetPolicy& policy = *snapshot_->budgets();
    if (policy.book->waiting()) {
        co_return unavailable(
            "the ledger's database has not answered yet, so no budget can be judged");
    }
    auto refused = reserve_budget();
    for (int round = 0; refused && budget_short_ && policy.leases != nullptr; ++round) {
        const auto wait = std::make_shared<Wait>(worker_.loop);
        const net::Deadline::Guard guard(*deadline_, &Wait::interrupt, wait.get());
        std::function<void(bool)> done = [wait](bool answered) {
            wait->deliver(answered);
        };
        policy.leases->ask(std::move(done));
        Wait& awaited = *wait;
        co_await awaited;
        if (!wait->has_value()) co_return pipeline::Reject{deadline_->error()};
        if (!wait->take() || round == kMostRounds) {
            co_return unavailable("the pool of the shared budgets cannot be asked now");
        }
        refused = reserve_budget();
    }
    co_return refused;
}

}  // namespace leeway::app
