#include "app/batch_settlement.hpp"

#include "ledger/intent.hpp"
#include "ledger/intent_table.hpp"

#include <spdlog/spdlog.h>

namespace leeway::app {
namespace {

/// It lies in the journal directly before the row and makes the ledger charge the row's scopes.
ledger::Intent intent_of(const StoredBatch& batch, const ledger::RequestRecord& row) {
    ledger::Intent out;
    out.id = batch.record;
    out.ts_us = batch.ts_us;
    out.worst = PicoUsd(batch.worst_pico_usd);
    out.worst_tokens = batch.worst_tokens;
    out.key = batch.key;
    out.endpoint = row.endpoint;
    out.model_asked = row.model_asked;
    out.model = row.model;
    out.provider = row.provider;
    out.scopes = batch.scopes;
    return out;
}

std::vector<budget::Scope> scopes_of(const StoredBatch& batch) {
    std::vector<budget::Scope> out;
    for (const std::string& text : batch.scopes) {
        if (auto scope = budget::parse_scope(text)) out.push_back(std::move(*scope));
    }
    return out;
}

}  // namespace

ledger::RequestRecord row_of(const StoredBatch& batch) {
    ledger::RequestRecord out;
    out.id = batch.record;
    out.ts_us = batch.ts_us;
    out.key = batch.key;
    out.endpoint = "batches";
    out.model_asked = batch.asked;
    out.model = batch.model;
    out.provider = batch.provider;
    out.http_status = 200;
    out.user = batch.user;
    out.tags = batch.tags;
    out.session = batch.session;
    out.agent = batch.agent;
    if (!batch.id.empty()) out.notes = "batch=" + batch.id;
    ledger::AttemptRow attempt;
    attempt.provider = batch.provider;
    attempt.model = batch.model;
    attempt.http_status = 200;
    attempt.tier = prices::Tier::kBatch;
    out.attempts.push_back(std::move(attempt));
    return out;
}

ledger::RequestRecord lost_row_of(const StoredBatch& batch, std::string why) {
    ledger::RequestRecord out = row_of(batch);
    out.http_status = out.attempts.front().http_status = 0;
    out.end = out.attempts.front().end = ledger::EndState::kUnknown;
    out.error = std::move(why);
    return out;
}

Result<void> post_batch(const StoredBatch& batch, ledger::RequestRecord row, ledger::Sink& ledger,
                        budget::Book* book, BatchStore& store) {
    ledger::AttemptRow& attempt = row.attempts.front();
    const bool budgeted = !batch.scopes.empty();
    const std::optional<PicoUsd> known = attempt.cost;
    const auto charge =
        ledger::charge_of(attempt, PicoUsd(batch.worst_pico_usd), batch.worst_tokens);
    const bool unknown = !attempt.cost && attempt.usage_state == prices::UsageState::kMissing;
    if (budgeted && unknown) {
        // What nobody knows stays charged at the reservation, in the row as well.
        row.cost = attempt.cost = PicoUsd(charge.pico_usd);
        row.notes += row.notes.empty() ? "budget=reserved" : " budget=reserved";
    }
    const bool kept = (!budgeted || ledger.append(intent_of(batch, row))) && ledger.append(row);
    if (!kept) {
        return fail(Error{ErrorCode::kUnavailable,
                          "the ledger cannot keep the cost of this batch",
                          "free space on the disk that holds the state folder",
                          {},
                          "ledger_unavailable"});
    }
    if (budgeted && book != nullptr) {
        const budget::Amount amount{charge.pico_usd, charge.tokens};
        if (unknown) {
            (void)book->mark_unknown(batch.record, 1, amount);
        } else {
            (void)book->settle(batch.record, 1, amount);
        }
    }
    const auto first = store.settle_batch(batch.record);
    if (!first) return fail(first.error());
    if (!*first) return {};  // somebody else was as quick
    BatchCounters& counters = store.counters();
    counters.settled.fetch_add(1, std::memory_order_relaxed);
    if (known) {
        counters.cost_pico_usd.fetch_add(known->value(), std::memory_order_relaxed);
    } else {
        counters.unknown.fetch_add(1, std::memory_order_relaxed);
    }
    return {};
}

void resume_batches(BatchStore& store, ledger::Sink* ledger, budget::Book* book) {
    auto open = store.unsettled();
    if (!open) {
        spdlog::error("batches that are under way cannot be read: {}", open.error().text());
        return;
    }
    for (const StoredBatch& batch : *open) {
        if (book != nullptr && !batch.scopes.empty()) {
            const auto scopes = scopes_of(batch);
            budget::Reservation wanted;
            wanted.operation = batch.record;
            wanted.scopes = scopes;
            wanted.worst.pico_usd = batch.worst_pico_usd;
            wanted.worst.tokens = batch.worst_tokens;
            wanted.floor = wanted.worst;
            wanted.now_s = batch.ts_us / 1'000'000;
            if (const auto refusal = book->reserve(wanted)) {
                spdlog::warn("batch {} was let in before, but budget '{}' has no room for it now",
                             batch.id, refusal->budget);
            }
        }
        if (!batch.id.empty() || ledger == nullptr) continue;
        if (auto posted = post_batch(batch, lost_row_of(batch), *ledger, book, store); !posted)
            spdlog::error("id={} {}", batch.record.text(), posted.error().text());
    }
}

}  // namespace leeway::app
