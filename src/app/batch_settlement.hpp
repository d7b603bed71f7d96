#pragma once

#include "app/batch_store.hpp"
#include "app/snapshot.hpp"
#include "guard/budget/book.hpp"
#include "ledger/record.hpp"
#include "ledger/sink.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace leeway::app {

/// The row of a batch, without its end, its usage and its cost.
[[nodiscard]] ledger::RequestRecord row_of(const StoredBatch& batch);
/// Its provider may have taken it, and nobody will ever know what it cost: it is charged as reserved. `why`: machine word.
[[nodiscard]] ledger::RequestRecord lost_row_of(const StoredBatch& batch,
                                                std::string why = "outcome_unknown");

/// It was never taken by its provider, so it costs nothing. `why`: machine word.
[[nodiscard]] ledger::RequestRecord free_row_of(const StoredBatch& batch, std::string why);

/// Posts the row of each to the ledger and to the budgets (null: there are none), and marks them as settled. Doing it
/// again, in this process or after it was killed in between, changes nothing: the row's id was drawn when the batch
/// was asked for. The caller must not be told of the batch's end where this fails.
[[nodiscard]] Result<void> post_batches(std::span<const StoredBatch> batches,
                                        std::vector<ledger::RequestRecord> rows,
                                        ledger::Sink& ledger, budget::Book* book,
                                        BatchStore& store);

/// What is known of a batch, or of a request that is gathered, before it is asked for.
[[nodiscard]] StoredBatch planned_batch(const pipeline::RequestContext& context,
                                        const BatchBound& bound, const pipeline::Model& model);
/// Reserves the most that it can cost in all budgets that apply, and keeps in `batch` what that was. `snapshot` has
/// budgets. An error is the caller's.
[[nodiscard]] std::optional<Error> reserve_batch(const Snapshot& snapshot,
                                                 const pipeline::RequestContext& context,
                                                 const BatchBound& bound,
                                                 const pipeline::Model& model, StoredBatch& batch);

/// Reserves again what the batches of earlier processes may still cost, and posts those whose provider never
/// answered. Once, with the budgets in place. `ledger`: null when workers run already, which own the journals; then
/// what was never answered stays reserved until the next start.
void resume_batches(BatchStore& store, ledger::Sink* ledger, budget::Book* book);

}  // namespace leeway::app
