#include "app/batch_settlement.hpp"

#include "app/budget_policy.hpp"
#include "app/worst_case.hpp"
#include "ledger/intent.hpp"
#include "ledger/intent_table.hpp"

#include <fmt/format.h>
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

/// `row` becomes what is kept: the cost that nobody knows is the reservation.
Result<void> post_row(const StoredBatch& batch, ledger::RequestRecord& row, ledger::Sink& ledger,
                      budget::Book* book) {
    ledger::AttemptRow& attempt = row.attempts.front();
    const bool budgeted = !batch.scopes.empty();
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
    if (!budgeted || book == nullptr) return {};
    const budget::Amount amount{charge.pico_usd, charge.tokens};
    if (unknown) {
        (void)book->mark_unknown(batch.record, 1, amount);
    } else {
        (void)book->settle(batch.record, 1, amount);
    }
    return {};
}

}  // namespace

ledger::RequestRecord row_of(const StoredBatch& batch) {
    ledger::RequestRecord out;
    out.id = batch.record;
    out.ts_us = batch.ts_us;
    out.key = batch.key;
    out.endpoint = batch.line.empty() ? "batches" : "chat.completions";
    out.route = batch.route;
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

ledger::RequestRecord free_row_of(const StoredBatch& batch, std::string why) {
    ledger::RequestRecord out = row_of(batch);
    out.http_status = out.attempts.front().http_status = 0;
    out.end = out.attempts.front().end = ledger::EndState::kError;
    out.error = std::move(why);
    out.usage_state = out.attempts.front().usage_state = prices::UsageState::kZero;
    out.cost = out.baseline = out.attempts.front().cost = PicoUsd(0);
    out.waterfall.emplace();
    return out;
}

Result<void> post_batches(std::span<const StoredBatch> batches,
                          std::vector<ledger::RequestRecord> rows, ledger::Sink& ledger,
                          budget::Book* book, BatchStore& store) {
    std::vector<std::optional<PicoUsd>> known;
    for (std::size_t i = 0; i < batches.size(); ++i) {
        known.push_back(rows[i].attempts.front().cost);
        if (auto posted = post_row(batches[i], rows[i], ledger, book); !posted) return posted;
    }
    const auto first = store.settle_batches(batches);
    if (!first) return fail(first.error());
    BatchCounters& counters = store.counters();
    for (std::size_t i = 0; i < batches.size(); ++i) {
        if (!(*first)[i]) continue;  // somebody else was as quick
        counters.settled.fetch_add(1, std::memory_order_relaxed);
        if (known[i]) {
            counters.cost_pico_usd.fetch_add(known[i]->value(), std::memory_order_relaxed);
        } else {
            counters.unknown.fetch_add(1, std::memory_order_relaxed);
        }
    }
    return {};
}

StoredBatch planned_batch(const pipeline::RequestContext& context, const BatchBound& bound,
                          const pipeline::Model& model) {
    StoredBatch out;
    out.provider = model.provider_name;
    out.key = context.key_name;
    out.record = context.id;
    out.ts_us = context.arrived_unix_us;
    out.endpoint = bound.endpoint;
    out.model = model.name;
    out.asked = bound.model;
    out.user = context.dimensions.user;
    out.tags = context.dimensions.tags;
    out.session = context.dimensions.session;
    out.agent = context.dimensions.agent;
    return out;
}

std::optional<Error> reserve_batch(const Snapshot& snapshot,
                                   const pipeline::RequestContext& context, const BatchBound& bound,
                                   const pipeline::Model& model, StoredBatch& batch) {
    budget::Book& book = *snapshot.budgets()->book;
    const auto scopes = scopes_of(context);
    const bool hard_usd = book.limits(scopes, budget::Unit::kUsd, true);
    const bool hard = hard_usd || book.limits(scopes, budget::Unit::kTokens, true);
    if (book.waiting()) {
        return Error{ErrorCode::kUnavailable,
                     "the ledger's database has not answered yet, and budgets need it",
                     {},
                     {},
                     "ledger_unavailable"};
    }
    if (hard && book.shared()) {
        return Error{ErrorCode::kForbidden,
                     "A hard budget that several gateways share applies to this key: it takes no "
                     "batches.",
                     "use a key without one",
                     {},
                     "budget_shared"};
    }
    if (hard && bound.unbounded > 0) {
        return Error{ErrorCode::kInvalidRequest,
                     fmt::format("A hard budget applies to this key, and the cost of request {} of "
                                 "the batch has no bound.",
                                 bound.unbounded),
                     "give each a limit on its answer, and no input by reference",
                     {},
                     "budget_batch_unbounded"};
    }
    const auto longest = snapshot.provider(model).origin.timeouts.total * bound.lines;
    const auto cost = worst_cost(*model.price, batch.ts_us / 1'000'000, longest, bound.input_tokens,
                                 bound.output_tokens);
    if (!cost && hard_usd) return price_unknown(model.name);
    budget::Reservation wanted;
    wanted.operation = batch.record;
    wanted.scopes = scopes;
    wanted.worst.pico_usd = cost.value_or(0);
    wanted.worst.tokens = capped(Int128{bound.input_tokens} + bound.output_tokens);
    wanted.floor = wanted.worst;
    wanted.now_s = batch.ts_us / 1'000'000;
    if (const auto refusal = book.reserve(wanted)) return budget_exceeded(*refusal);
    batch.worst_pico_usd = wanted.worst.pico_usd;
    batch.worst_tokens = wanted.worst.tokens;
    for (const budget::Scope& scope : scopes) batch.scopes.push_back(to_string(scope));
    return std::nullopt;
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
        auto posted =
            post_batches(std::span(&batch, 1), {lost_row_of(batch)}, *ledger, book, store);
        if (!posted) spdlog::error("id={} {}", batch.record.text(), posted.error().text());
    }
}

}  // namespace leeway::app
