#pragma once

#include "app/batch_store.hpp"
#include "guard/budget/book.hpp"
#include "ledger/record.hpp"
#include "ledger/sink.hpp"

#include <string>

namespace leeway::app {

/// The row of a batch, without its end, its usage and its cost.
[[nodiscard]] ledger::RequestRecord row_of(const StoredBatch& batch);
/// Its provider may have taken it, and nobody will ever know what it cost: it is charged as reserved. `why`: machine word.
[[nodiscard]] ledger::RequestRecord lost_row_of(const StoredBatch& batch,
                                                std::string why = "outcome_unknown");

/// Posts `row` to the ledger and to the budgets (null: there are none), and marks the batch as settled. Doing it
/// again, in this process or after it was killed in between, changes nothing: the row's id was drawn when the batch
/// was asked for. The caller must not be told of the batch's end where this fails.
[[nodiscard]] Result<void> post_batch(const StoredBatch& batch, ledger::RequestRecord row,
                                      ledger::Sink& ledger, budget::Book* book, BatchStore& store);

/// Reserves again what the batches of earlier processes may still cost, and posts those whose provider never
/// answered. Once, with the budgets in place. `ledger`: null when workers run already, which own the journals; then
/// what was never answered stays reserved until the next start.
void resume_batches(BatchStore& store, ledger::Sink* ledger, budget::Book* book);

}  // namespace leeway::app
