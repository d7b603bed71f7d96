#include "app/attempt_end.hpp"

#include "ledger/intent_table.hpp"

#include <spdlog/spdlog.h>

namespace leeway::app {

void price_attempt(const prices::ModelPrices& price, const wire::usage::UsageReading& reading,
                   std::int64_t unix_s, ledger::AttemptRow& attempt) {
    attempt.usage = reading.usage;
    attempt.usage_state = reading.state;
    if (reading.tier) attempt.tier = *reading.tier;  // what was billed, also where less was given
    if (reading.state == prices::UsageState::kMissing) {
        if (attempt.http_status >= 400) attempt.cost = PicoUsd(0);  // refusals are not billed
        return;
    }
    prices::PriceQuery query;
    query.unix_s = unix_s;
    query.tier = attempt.tier;
    query.region = wire::usage::to_string(reading.region);
    query.busy_us = attempt.total_us;
    const prices::Priced priced = price.price(reading.usage, query);
    attempt.cost = priced.cost;
    attempt.price_id = priced.price_id;
    if (reading.reported_cost) {
        // What the provider says it bills is what it bills.
        attempt.computed_cost = priced.cost;
        attempt.reported_cost = attempt.cost = reading.reported_cost;
    }
}

bool settle_reservation(budget::Book& book, const RequestId& id, const budget::Amount& worst,
                        ledger::AttemptRow& attempt) {
    const auto charge = ledger::charge_of(attempt, PicoUsd(worst.pico_usd), worst.tokens);
    if (!attempt.cost && attempt.usage_state == prices::UsageState::kMissing) {
        attempt.cost = PicoUsd(charge.pico_usd);
        (void)book.mark_unknown(id, attempt.number, {charge.pico_usd, charge.tokens});
        return true;
    }
    const auto settled = book.settle(id, attempt.number, {charge.pico_usd, charge.tokens});
    if (settled == budget::Settled::kConflict)
        spdlog::error("id={} was settled twice with different amounts", id.text());
    return false;
}

}  // namespace leeway::app
