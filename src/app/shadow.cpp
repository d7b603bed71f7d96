#include "app/shadow.hpp"

#include "app/gateway.hpp"
#include "wire/canonical/codec.hpp"
#include "wire/openai/chat_parts.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace leeway::app {
namespace {

constexpr std::size_t kMostAnswer = 16UL * 1024 * 1024;

using Event = wire::StreamEvent::Kind;

/// What is known of a shadow's answer.
struct Seen {
    int status = 0;
    ledger::EndState end = ledger::EndState::kError;
    wire::usage::UsageReading usage;
    wire::StopReason stop = wire::StopReason::kUnset;
    std::string model;  ///< as the answer says
};

/// Reads a stream to its end, for its usage.
Task<void> read_stream(Shadow& shadow, Seen& seen) {
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(shadow.provider.dialect);
    const auto scanner = theirs.scanner();
    const auto reader = theirs.stream_reader(shadow.provider.flavour);
    std::vector<wire::StreamEvent> events;
    wire::openai::SseEvent event;
    bool failed = false;
    for (;;) {
        auto pieces = co_await shadow.call.read_some();
        if (!pieces) {
            // What was told before a cut is not all.
            if (seen.usage.state != prices::UsageState::kMissing)
                seen.usage.state = prices::UsageState::kPartial;
            co_return;
        }
        if (pieces->empty()) break;
        events.clear();
        for (const std::string_view piece : *pieces) {
            scanner->feed(piece);
            for (;;) {
                const auto more = scanner->next(event);
                if (!more) co_return;
                if (!*more) break;
                (void)reader->read(event, events);
            }
        }
        for (const wire::StreamEvent& one : events) {
            if (one.kind == Event::kUsage) seen.usage = one.usage;
            if (one.kind == Event::kStart) seen.model = one.model;
            if (one.kind == Event::kStop && seen.stop == wire::StopReason::kUnset)
                seen.stop = one.stop;
            failed = failed || one.kind == Event::kError;
        }
    }
    const bool stopped = seen.stop != wire::StopReason::kUnset;
    if (stopped && !failed) seen.end = ledger::EndState::kOk;
}

Task<void> ask(Shadow& shadow, Seen& seen) {
    std::vector<net::Field> fields;
    fields.reserve(shadow.fields.size());
    for (const auto& [name, value] : shadow.fields) fields.push_back({name, value});
    const std::array<std::string_view, 1> body{shadow.body};
    net::UpstreamRequest request;
    request.target = shadow.target;
    request.fields = fields;
    request.body = body;
    auto started = co_await shadow.call.start(request);
    if (!started) {
        if (!shadow.call.sent()) shadow.attempt.cost = PicoUsd(0);
        co_return;
    }
    seen.status = shadow.call.head().status;
    if (seen.status == 200 && shadow.record.stream) {
        co_await read_stream(shadow, seen);
        co_return;
    }
    auto answer_body = co_await shadow.call.read_all(kMostAnswer);
    if (!answer_body || seen.status != 200) co_return;
    const wire::UpstreamCodec& theirs = wire::upstream_codec_of(shadow.provider.dialect);
    const auto answer = theirs.read_answer(*answer_body, shadow.provider.flavour);
    if (!answer) co_return;
    seen.usage = answer->usage;
    seen.model = answer->model;
    seen.stop = answer->choices.front().stop;
    seen.end = ledger::EndState::kOk;
}

/// One row of its own: nobody would have paid for it without us, so all of its cost is ours.
void settle(WorkerState& worker, Shadow& shadow, const Seen& seen) {
    ledger::RequestRecord& record = shadow.record;
    ledger::AttemptRow& attempt = shadow.attempt;
    attempt.http_status = record.http_status = seen.status;
    attempt.end = record.end = seen.end;
    attempt.model_reported = seen.model;
    if (seen.stop != wire::StopReason::kUnset)
        attempt.finish_reason = wire::openai::finish_reason(seen.stop);
    attempt.total_us = record.total_us = to_us(shadow.deadline.elapsed());
    price_attempt(*shadow.model.price, seen.usage, record.ts_us / 1'000'000, attempt);
    if (shadow.reserved) {
        budget::Book& book = *shadow.snapshot->budgets()->book;
        if (settle_reservation(book, record.id, *shadow.reserved, attempt))
            record.notes += " budget=reserved";
    }
    record.usage = attempt.usage;
    record.usage_state = attempt.usage_state;
    record.cost = attempt.cost;
    record.baseline = PicoUsd(0);
    prices::Waterfall waterfall;
    constexpr auto kGateway = static_cast<std::size_t>(prices::SavingStep::kGateway);
    if (record.cost) {
        waterfall.saved[kGateway] = PicoUsd(-record.cost->value());
        if (record.cost->value() != 0) waterfall.labels[kGateway] = prices::SavingLabel::kComputed;
        if (waterfall.closes(*record.baseline, *record.cost)) record.waterfall = waterfall;
    }
    if (seen.end != ledger::EndState::kOk) record.error = "upstream_error";
    const bool left = shadow.deadline.reason() == net::Deadline::Reason::kShutdown;
    if (left) record.error = "shutting_down";
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
    sample.source = "shadow";
    sample.status = record.http_status;
    sample.total = std::chrono::microseconds(record.total_us);
    sample.usage = record.usage;
    sample.cost = record.cost;
    sample.baseline = record.baseline;
    sample.cost_unknown = !record.cost;
    worker.metrics.request(sample);
}

}  // namespace

Shadow::Shadow(WorkerState& worker, std::shared_ptr<const Snapshot> pinned,
               const pipeline::Model& of)
    : snapshot(std::move(pinned)),
      model(of),
      provider(snapshot->provider(of)),
      deadline(worker.loop, provider.origin.timeouts),
      call(worker.pool, provider.origin, deadline) {}

void Shadows::start(WorkerState& worker, std::unique_ptr<Shadow> shadow) {
    worker.loop.spawn(run(worker, std::move(shadow)));
}

Task<void> Shadows::run(WorkerState& worker, std::unique_ptr<Shadow> shadow) {
    shadows_.push_back(shadow.get());
    running_.store(shadows_.size(), std::memory_order_relaxed);
    Seen seen;
    co_await ask(*shadow, seen);
    const TimePoint now = monotonic_now();
    const bool unwell = seen.status == 0 || seen.status >= 500;
    if (shadow->pass && !shadow->deadline.interrupted())
        unwell ? shadow->pass->failed(now) : shadow->pass->succeeded(now);
    settle(worker, *shadow, seen);
    std::erase(shadows_, shadow.get());
    running_.store(shadows_.size(), std::memory_order_relaxed);
}

void Shadows::end() noexcept {
    ended_ = true;
    // An interruption may end one at once and take it off the list.
    const std::vector<Shadow*> all = shadows_;
    for (Shadow* shadow : all) {
        if (std::find(shadows_.begin(), shadows_.end(), shadow) != shadows_.end())
            shadow->deadline.interrupt(net::Deadline::Reason::kShutdown);
    }
}

}  // namespace leeway::app
