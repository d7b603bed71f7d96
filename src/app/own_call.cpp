#include "app/own_call.hpp"

#include "app/gateway.hpp"
#include "app/worst_case.hpp"
#include "ledger/intent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

namespace leeway::app {

std::vector<budget::Scope> own_scopes(std::string_view tag) {
    return {{budget::ScopeKind::kGlobal, {}}, {budget::ScopeKind::kTag, std::string(tag)}};
}

net::Timeouts within(net::Timeouts limits, std::chrono::milliseconds most) noexcept {
    limits.connect = std::min(limits.connect, most);
    limits.first_byte = std::min(limits.first_byte, most);
    limits.total = std::min(limits.total, most);
    return limits;
}

Result<void> reserve_own(budget::Book& book, ledger::Sink& ledger,
                         const ledger::RequestRecord& record, const budget::Amount& worst) {
    const auto scopes = own_scopes(record.tags);
    budget::Reservation wanted;
    wanted.operation = record.id;
    wanted.scopes = scopes;
    wanted.worst = wanted.floor = worst;
    wanted.now_s = record.ts_us / 1'000'000;
    if (const auto refusal = book.reserve(wanted)) return fail(budget_exceeded(*refusal));
    ledger::Intent intent;
    intent.id = record.id;
    intent.attempt = wanted.attempt;
    intent.ts_us = record.ts_us;
    intent.worst = PicoUsd(worst.pico_usd);
    intent.worst_tokens = worst.tokens;
    intent.stream = record.stream;
    intent.route = record.route;
    intent.endpoint = record.endpoint;
    intent.model_asked = record.model_asked;
    intent.model = record.model;
    intent.provider = record.provider;
    for (const budget::Scope& scope : scopes) intent.scopes.push_back(to_string(scope));
    if (ledger.append(intent)) return {};
    (void)book.release(record.id, wanted.attempt);
    return fail(ledger::no_paid_work());
}

void settle_own(WorkerState& worker, budget::Book* book,
                const std::optional<budget::Amount>& reserved, const prices::ModelPrices& price,
                const wire::usage::UsageReading& usage, std::string_view source,
                ledger::RequestRecord& record, ledger::AttemptRow& attempt) {
    price_attempt(price, usage, record.ts_us / 1'000'000, attempt);
    if (reserved && settle_reservation(*book, record.id, *reserved, attempt))
        record.notes += " budget=reserved";
    record.http_status = attempt.http_status;
    record.end = attempt.end;
    record.total_us = attempt.total_us;
    record.usage = attempt.usage;
    record.usage_state = attempt.usage_state;
    record.cost = attempt.cost;
    record.baseline = PicoUsd(0);
    if (record.cost) {
        prices::Waterfall waterfall;
        constexpr auto kGateway = static_cast<std::size_t>(prices::SavingStep::kGateway);
        waterfall.saved[kGateway] = PicoUsd(-record.cost->value());
        if (record.cost->value() != 0) waterfall.labels[kGateway] = prices::SavingLabel::kComputed;
        if (waterfall.closes(*record.baseline, *record.cost)) record.waterfall = waterfall;
    }
    record.attempts.push_back(attempt);
    if (worker.ledger != nullptr && !worker.ledger->append(record)) {
        worker.metrics.rows_lost();
        spdlog::critical("id={} the ledger could not keep this request's row: is the disk full?",
                         record.id.text());
    }
    telemetry::RequestSample sample;
    sample.endpoint = record.endpoint;
    sample.route = record.route;
    sample.model = record.model;
    sample.source = source;
    sample.status = record.http_status;
    sample.total = std::chrono::microseconds(record.total_us);
    sample.usage = record.usage;
    sample.cost = record.cost;
    sample.baseline = record.baseline;
    sample.cost_unknown = !record.cost;
    worker.metrics.request(sample);
}

void note_health(std::optional<providers::Breaker::Pass>& pass, const net::Deadline& deadline,
                 int status) {
    if (!pass || deadline.interrupted()) return;
    const TimePoint now = monotonic_now();
    const bool unwell = status == 0 || status >= 500;
    unwell ? pass->failed(now) : pass->succeeded(now);
}

}  // namespace leeway::app
