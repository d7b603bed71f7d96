#pragma once

#include "app/attempt_end.hpp"
#include "base/result.hpp"
#include "guard/budget/book.hpp"
#include "ledger/record.hpp"
#include "net/deadline.hpp"
#include "providers/breaker.hpp"

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace leeway::ledger {
class Sink;
}

namespace leeway::app {

struct WorkerState;

// What calls have in common that no caller asked for: shadows, what stages want to know later, embeddings. Each is a
// request of its own in the ledger, told by its tag. Budgets of callers do not pay for it: only those for everyone, and
// those for the tag.

[[nodiscard]] std::vector<budget::Scope> own_scopes(std::string_view tag);

/// The limits of a provider where the whole call may take `most`.
[[nodiscard]] net::Timeouts within(net::Timeouts limits, std::chrono::milliseconds most) noexcept;

/// As for any attempt: the most that the call of `record` can cost is reserved, and lies in the journal, before it is sent.
/// Errors: a budget has no room, or the journal takes nothing; then nothing is reserved.
[[nodiscard]] Result<void> reserve_own(budget::Book& book, ledger::Sink& ledger,
                                       const ledger::RequestRecord& record,
                                       const budget::Amount& worst);

/// Prices the attempt, settles what was `reserved` in `book`, and keeps the row. Nobody would have paid for it without us,
/// so all of its cost is ours. The attempt has its status, end and time; the record its error. `source` names it in the
/// metrics.
void settle_own(WorkerState& worker, budget::Book* book,
                const std::optional<budget::Amount>& reserved, const prices::ModelPrices& price,
                const wire::usage::UsageReading& usage, std::string_view source,
                ledger::RequestRecord& record, ledger::AttemptRow& attempt);

/// Tells the breaker how a call went; `status` 0: there was no answer. Nothing where it was interrupted.
void note_health(std::optional<providers::Breaker::Pass>& pass, const net::Deadline& deadline,
                 int status);

}  // namespace leeway::app
