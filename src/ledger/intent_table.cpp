#include "ledger/intent_table.hpp"

#include "ledger/schema.hpp"
#include "ledger/totals.hpp"

#include <algorithm>
#include <cstring>

namespace leeway::ledger {

Charge charge_of(const AttemptRow& attempt, PicoUsd worst, std::int64_t worst_tokens) noexcept {
    const bool missing = attempt.usage_state == prices::UsageState::kMissing;
    Charge out;
    out.pico_usd = attempt.cost ? attempt.cost->value() : worst.value();
    if (missing) {
        out.tokens = attempt.cost && attempt.cost->value() == 0 ? 0 : worst_tokens;
    } else {
        const prices::Usage usage = stored_usage(attempt.usage);
        out.tokens = usage.input_total() + usage.output_total();
    }
    out.pico_usd = std::max<std::int64_t>(out.pico_usd, 0);
    return out;
}

std::size_t IntentTable::IdHash::operator()(const RequestId& id) const noexcept {
    std::uint64_t random = 0;
    std::memcpy(&random, id.bytes.data() + 8, sizeof random);
    return static_cast<std::size_t>(random);
}

Result<std::unique_ptr<IntentTable>> IntentTable::open(store::sql::Database& db,
                                                       std::string gateway) {
    std::unique_ptr<IntentTable> table(new IntentTable(db, std::move(gateway)));
    if (auto done = table->load(); !done) return fail(std::move(done.error()));
    return table;
}

Result<void> IntentTable::load() {
    const std::pair<const char*, std::optional<store::sql::Statement>*> statements[] = {
        {"INSERT INTO intent VALUES (?1, ?2, ?3, ?4) ON CONFLICT (request_id, attempt) DO NOTHING",
         &insert_},
        {"DELETE FROM intent WHERE request_id = ?1", &remove_},
        {"INSERT INTO budget_spent AS o VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (scope, slot)"
         " DO UPDATE SET spent_hi = o.spent_hi + excluded.spent_hi,"
         " spent_lo = o.spent_lo + excluded.spent_lo, tokens ="
         " CASE WHEN o.tokens + excluded.tokens > 4000000000000000000 THEN 4000000000000000000"
         " ELSE o.tokens + excluded.tokens END",
         &spend_},
        {"SELECT 1 FROM request WHERE id = ?1", &outcome_}};
    for (const auto& [sql, statement] : statements) {
        auto made = db_.prepare(sql);
        if (!made) return fail(std::move(made.error()));
        statement->emplace(std::move(*made));
    }
    auto all = db_.prepare("SELECT record FROM intent WHERE gateway = ?1");
    if (!all) return fail(std::move(all.error()));
    all->bind(1, std::string_view(gateway_));
    while (true) {
        const auto row = all->step();
        if (!row) return fail(row.error());
        if (!*row) return {};
        const auto blob = all->blob(0);
        Intent intent;
        const std::string_view bytes(reinterpret_cast<const char*>(blob.data()), blob.size());
        if (auto done = decode(bytes, intent); !done) return done;
        open_[intent.id].push_back({.intent = std::move(intent), .stored = true});
    }
}

void IntentTable::add(Intent intent) {
    std::vector<Open>& of_request = open_[intent.id];
    const bool known = std::any_of(of_request.begin(), of_request.end(), [&](const Open& one) {
        return one.intent.attempt == intent.attempt;
    });
    if (known) return;
    added_.push_back(intent.id);
    of_request.push_back({.intent = std::move(intent)});
}

void IntentTable::charge(const Intent& intent, const Charge& charge) {
    if (charge.pico_usd == 0 && charge.tokens == 0) return;
    constexpr std::int64_t kSlotUs = 900'000'000;
    const std::int64_t slot = intent.ts_us / kSlotUs - (intent.ts_us % kSlotUs < 0 ? 1 : 0);
    for (const std::string& scope : intent.scopes) {
        auto found = spent_.find(std::pair(slot, std::string_view(scope)));
        if (found == spent_.end()) found = spent_.emplace(Slot(slot, scope), Spent{}).first;
        Spent& sum = found->second;
        sum.amount.add(PicoUsdSum(Int128{charge.pico_usd}));
        sum.tokens = std::min(sum.tokens + charge.tokens, kMaxTokenSum);
    }
}

void IntentTable::close(const RequestRecord& record) {
    if (open_.empty()) return;
    const auto found = open_.find(record.id);
    if (found == open_.end()) return;
    bool stored = false;
    for (const auto& [intent, in_database] : found->second) {
        stored |= in_database;
        const auto attempt =
            std::find_if(record.attempts.begin(), record.attempts.end(),
                         [&](const AttemptRow& row) { return row.number == intent.attempt; });
        // An attempt that left no row was never sent.
        if (attempt == record.attempts.end()) continue;
        charge(intent, charge_of(*attempt, intent.worst, intent.worst_tokens));
    }
    if (stored) closed_.push_back(record.id);
    open_.erase(found);
}

Result<bool> IntentTable::has_outcome(const RequestId& id) {
    outcome_->bind_blob(1, id.bytes);
    const auto row = outcome_->step();
    if (row) outcome_->reset();
    return row;
}

Result<void> IntentTable::store(Open& one) {
    const std::string_view bytes = encode(one.intent, buffer_);
    insert_->bind_blob(1, one.intent.id.bytes);
    insert_->bind(2, std::int64_t{one.intent.attempt});
    insert_->bind_blob(3, {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    insert_->bind(4, std::string_view(gateway_));
    one.stored = true;
    return insert_->run();
}

Result<void> IntentTable::write_spent() {
    for (const auto& [slot, sum] : spent_) {
        const SplitSum parts = split(sum.amount);
        spend_->bind(1, std::string_view(slot.second));
        spend_->bind(2, slot.first);
        spend_->bind(3, parts.hi);
        spend_->bind(4, parts.lo);
        spend_->bind(5, sum.tokens);
        if (auto done = spend_->run(); !done) return done;
    }
    spent_.clear();
    return {};
}

Result<void> IntentTable::write(bool look_up) {
    for (const RequestId& id : added_) {
        const auto found = open_.find(id);
        if (found == open_.end()) continue;  // began and ended in this batch
        if (look_up) {
            const auto known = has_outcome(id);
            if (!known) return fail(known.error());
            if (*known) {
                open_.erase(found);
                continue;
            }
        }
        for (Open& one : found->second) {
            if (one.stored) continue;
            if (auto done = store(one); !done) return done;
        }
    }
    added_.clear();
    for (const RequestId& id : closed_) {
        remove_->bind_blob(1, id.bytes);
        if (auto done = remove_->run(); !done) return done;
    }
    closed_.clear();
    return write_spent();
}

std::vector<RequestRecord> IntentTable::unknown_outcomes() const {
    std::vector<RequestRecord> out;
    for (const auto& [id, intents] : open_) {
        RequestRecord record = unknown_outcome(intents.front().intent);
        for (std::size_t i = 1; i < intents.size(); ++i) {
            RequestRecord next = unknown_outcome(intents[i].intent);
            const auto sum = record.cost->plus(*next.cost);
            record.cost = sum ? sum : std::optional(PicoUsd(INT64_MAX));
            record.attempts.push_back(std::move(next.attempts.front()));
        }
        std::sort(record.attempts.begin(), record.attempts.end(),
                  [](const AttemptRow& a, const AttemptRow& b) { return a.number < b.number; });
        out.push_back(std::move(record));
    }
    return out;
}

}  // namespace leeway::ledger
