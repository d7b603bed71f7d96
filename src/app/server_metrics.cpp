#include "app/server.hpp"
#include "net/timer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <coroutine>
#include <cstdio>
#include <memory>

namespace leeway::app {
namespace {

using telemetry::append_help;
using telemetry::append_sample;

// A worker that does not answer in this time is stuck; the rest is shown without it.
constexpr auto kPatience = std::chrono::seconds(2);

/// Copies of all workers' counters, put together on the admin loop. Kept alive by whoever may still
/// deliver into it.
struct Gathering {
    telemetry::WorkerMetrics sum;
    std::size_t missing = 0;
    std::coroutine_handle<> waiting;

    void wake() {
        if (waiting) std::exchange(waiting, {}).resume();
    }
};

class GatheringAwaiter {
public:
    GatheringAwaiter(net::EventLoop& loop, std::shared_ptr<Gathering> gathering)
        : gathering_(std::move(gathering)),
          timer_(loop.timers(), &GatheringAwaiter::give_up, gathering_.get()) {
        timer_.arm(monotonic_now() + kPatience);
    }
    [[nodiscard]] bool await_ready() const noexcept { return gathering_->missing == 0; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { gathering_->waiting = handle; }
    void await_resume() const noexcept {}

private:
    static void give_up(void* gathering) { static_cast<Gathering*>(gathering)->wake(); }
    std::shared_ptr<Gathering> gathering_;
    net::Timer timer_;
};

std::uint64_t resident_bytes() {
    unsigned long long size = 0;
    unsigned long long resident = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    if (std::fscanf(file, "%llu %llu", &size, &resident) != 2) resident = 0;
    std::fclose(file);
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Task<std::string> Server::metrics_text(net::EventLoop& admin_loop) {
    auto gathering = std::make_shared<Gathering>();
    const bool embeds = embeddings_.running();
    gathering->missing = workers_.size() + (embeds ? 1 : 0);
    const auto add = [gathering, &admin_loop](telemetry::WorkerMetrics copy) {
        auto box = std::make_shared<telemetry::WorkerMetrics>(std::move(copy));
        admin_loop.post([gathering, box] {
            gathering->sum.merge(*box);
            if (--gathering->missing == 0) gathering->wake();
        });
    };
    for (auto& worker : workers_) worker->copy_metrics(add);
    if (embeds) embeddings_.copy_metrics(add);
    GatheringAwaiter all(admin_loop, gathering);
    co_await all;
    std::string text = gathering->sum.exposition();
    text += process_metrics();
    co_return text;
}

std::string Server::budget_metrics() const {
    std::string out;
    const auto budgets = book_.standings(unix_now_s());
    if (budgets.empty()) return out;
    const auto counters = book_.counters();
    const auto count = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
        append_help(out, name, "counter", help);
        append_sample(out, name, {}, std::to_string(value));
    };
    count("leeway_budget_reservations_total", "Reservations made.", counters.reserved);
    count("leeway_budget_refusals_total", "Reservations refused.", counters.refused);
    count("leeway_budget_unknown_total", "Charged as reserved: nobody knows the cost.",
          counters.unknown);
    count("leeway_budget_overshoots_total", "Answers that cost more than reserved.",
          counters.overshoots);
    count("leeway_budget_conflicts_total", "Second settlements with other amounts.",
          counters.conflicts);
    const auto gauge = [&](std::string_view name, std::string_view help, const auto& value_of) {
        append_help(out, name, "gauge", help);
        for (const budget::Standing& one : budgets) {
            // Users, sessions and tags are as many as callers like: not one series for each.
            if (one.scope.kind > budget::ScopeKind::kKey) continue;
            const Int128 value = value_of(one);
            const std::string scope = to_string(one.scope);
            append_sample(out, name,
                          {{"budget", one.budget}, {"scope", scope}, {"unit", to_string(one.unit)}},
                          one.unit == budget::Unit::kUsd
                              ? to_usd_string(value)
                              : std::to_string(static_cast<std::int64_t>(value)));
        }
    };
    gauge("leeway_budget_limit", "USD or tokens.",
          [](const budget::Standing& one) { return Int128{one.limit}; });
    gauge("leeway_budget_posted", "Spent in the window that runs.",
          [](const budget::Standing& one) { return one.posted; });
    gauge("leeway_budget_pending", "Reserved by requests that run.",
          [](const budget::Standing& one) { return one.pending; });
    return out;
}

std::string Server::breaker_metrics() const {
    std::string out;
    const auto breakers = breakers_.standings();
    if (breakers.empty()) return out;
    append_help(out, "leeway_breaker_state", "gauge",
                "0: the model is asked; 1: one request tries it; 2: it is not asked.");
    for (const auto& one : breakers) {
        append_sample(
            out, "leeway_breaker_state",
            {{"provider", one.provider}, {"model", one.model}, {"upstream", one.upstream}},
            std::to_string(static_cast<int>(one.state)));
    }
    append_help(out, "leeway_breaker_opened_total", "counter", "Times that a breaker opened.");
    for (const auto& one : breakers) {
        append_sample(
            out, "leeway_breaker_opened_total",
            {{"provider", one.provider}, {"model", one.model}, {"upstream", one.upstream}},
            std::to_string(one.opened));
    }
    return out;
}

std::string Server::batch_metrics() const {
    std::string out;
    BatchStore* const batches = batches_seen_.load();
    if (batches == nullptr) return out;
    const BatchCounters& counters = batches->counters();
    const auto count = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
        append_help(out, name, "counter", help);
        append_sample(out, name, {}, std::to_string(value));
    };
    count("leeway_batch_uploads_total", "Input files of batches that a provider took.",
          counters.uploads.load());
    count("leeway_batches_made_total", "Batches that a provider took.", counters.made.load());
    count("leeway_batch_looks_total", "Looks at batches whose end nobody asked for.",
          counters.looks.load());
    count("leeway_batch_failed_looks_total", "Of these, without an outcome.",
          counters.failed_looks.load());
    count("leeway_batches_settled_total", "Batches with a row in the ledger.",
          counters.settled.load());
    count("leeway_batches_unknown_total", "Of these, whose cost nobody knows.",
          counters.unknown.load());
    append_help(out, "leeway_batches_cost_usd_total", "counter", "What the settled ones cost.");
    append_sample(out, "leeway_batches_cost_usd_total", {},
                  to_usd_string(PicoUsd(counters.cost_pico_usd.load())));
    append_help(out, "leeway_batches", "gauge",
                "Batches that are not settled, by what their provider last said of them.");
    if (const auto standings = batches->standings()) {
        for (const auto& [state, number] : *standings) {
            append_sample(out, "leeway_batches", {{"state", state.empty() ? "unknown" : state}},
                          std::to_string(number));
        }
    }
    return out;
}

std::string Server::traffic_metrics() const {
    std::string out;
    const auto line = [&out](std::string_view name, std::string_view type, std::string_view help,
                             std::uint64_t value) {
        append_help(out, name, type, help);
        append_sample(out, name, {}, std::to_string(value));
    };
    line("leeway_draining_answers", "gauge", "Answers that go on without their callers.",
         drain_slots_.open());
    line("leeway_drains_total", "counter", "Answers that went on when their callers had left.",
         drain_slots_.begun());
    line("leeway_drains_refused_total", "counter",
         "Answers that should have gone on, but too many did already.", drain_slots_.refused());
    line("leeway_shadows_running", "gauge", "Copies of requests under way, for nobody.", shadows());
    if (!replays_) return out;
    const auto replays = replays_->stats();
    line("leeway_idempotency_entries", "gauge", "Answers kept for the same idempotency key.",
         replays.entries);
    line("leeway_idempotency_bytes", "gauge", "What they take in memory.", replays.bytes);
    line("leeway_idempotency_replays_total", "counter", "Requests that got a kept answer.",
         replays.replayed);
    line("leeway_idempotency_conflicts_total", "counter",
         "Requests refused: their key was used for another one.", replays.refused);
    return out;
}

std::string Server::calibration_metrics() const {
    std::string out;
    const auto slots = learner_->book().slots();
    const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                            const auto& value_of) {
        append_help(out, name, type, help);
        for (const tokens::CalibrationSlot* slot : slots) {
            append_sample(out, name, {{"family", slot->key()}}, value_of(*slot));
        }
    };
    family("leeway_calibration_reports", "gauge",
           "Input counts of providers that our token counts rest on; calibrated from 8 on.",
           [](const auto& slot) { return std::to_string(slot.read().reports()); });
    family("leeway_calibration_relative_error", "gauge",
           "Standard deviation of our token counts from the provider's, as a ratio.",
           [](const auto& slot) { return fmt::format("{:.4f}", slot.read().relative_error()); });
    family("leeway_calibration_drifts_total", "counter",
           "Times that a provider seemed to have changed its tokenizer.",
           [](const auto& slot) { return std::to_string(slot.drifts()); });
    append_help(out, "leeway_calibration_passed_over_total", "counter",
                "Reports that taught nothing: too many at once, or content that we cannot count.");
    append_sample(out, "leeway_calibration_passed_over_total", {},
                  std::to_string(learner_->passed_over()));
    return out;
}

std::string Server::outcome_metrics() const {
    std::string out;
    const OutcomeRecorder* const recorder = outcomes_seen_.load();
    if (recorder == nullptr) return out;
    const OutcomeRecorder::Counters counters = recorder->counters();
    const auto count = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
        append_help(out, name, "counter", help);
        append_sample(out, name, {}, std::to_string(value));
    };
    count("leeway_outcome_answers_total", "Answered requests that feedback can name.",
          counters.answers);
    count("leeway_outcomes_total", "What feedback and shadows told of them.", counters.outcomes);
    count("leeway_outcomes_dropped_total", "Not written: too much waited.", counters.dropped);
    count("leeway_outcomes_failed_total", "Not written: the database did not take it.",
          counters.failed);
    count("leeway_feedback_unknown_total", "Feedback for answers that are not there.",
          counters.unknown);
    return out;
}

std::string Server::cascade_metrics() const {
    std::string out;
    const auto standings = certificates_.standings();
    if (standings.empty()) return out;
    const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                            const auto& value_of) {
        append_help(out, name, type, help);
        for (const auto& [route, state] : standings)
            append_sample(out, name, {{"route", route}}, std::to_string(value_of(state)));
    };
    family(
        "leeway_cascade_serving", "gauge",
        "1: answers of the cheap model are taken; 0: there is no certificate, or it was demoted.",
        [](const auto& state) { return state.serving ? 1 : 0; });
    family("leeway_cascade_decided_total", "counter",
           "Answers of the cheap model that were judged.",
           [](const auto& state) { return state.decided; });
    family("leeway_cascade_audited_total", "counter",
           "Answers taken that the strong model's was compared with.",
           [](const auto& state) { return state.audited; });
    family("leeway_cascade_harmed_total", "counter", "Of these, those that differed.",
           [](const auto& state) { return state.harmed; });
    family("leeway_cascade_learned_total", "counter",
           "Answers of the strong model that the cheap one's was compared with to certify it.",
           [](const auto& state) { return state.learned; });
    return out;
}

std::string Server::controller_metrics() const {
    std::string out;
    const auto counted = controller_tally_.counted();
    if (counted.empty()) return out;
    append_help(out, "leeway_controller_total", "counter",
                "Requests of routes with a controller, by what came of it.");
    for (const auto& one : counted) {
        append_sample(out, "leeway_controller_total",
                      {{"route", one.route}, {"verdict", one.verdict}}, std::to_string(one.count));
    }
    return out;
}

std::string Server::process_metrics() const {
    std::string out;
    const auto line = [&out](std::string_view name, std::string_view type, std::string_view help,
                             std::uint64_t value) {
        append_help(out, name, type, help);
        append_sample(out, name, {}, std::to_string(value));
    };
    line("leeway_client_connections", "gauge", "Open client connections.", connections());
    line("leeway_config_reloads_total", "counter", "Configurations put to work after the start.",
         reloads_.load());
    line("leeway_price_book_refused", "gauge",
         "1: the newest price book cannot be right; an older one is in use, or none.",
         book_refused_.load() ? 1 : 0);
    line("leeway_config_reloads_failed_total", "counter", "Configurations refused.",
         failed_reloads_.load());
    line("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    if (ledger_) {
        const auto stats = ledger_->stats();
        line("leeway_ledger_rows_total", "counter", "Requests written to the ledger.",
             stats.rows_written);
        line("leeway_ledger_pending_bytes", "gauge", "Journal bytes not in the database yet.",
             stats.pending_bytes);
        line("leeway_ledger_spilled_bytes_total", "counter", "Bytes that went to spill files.",
             stats.spilled_bytes);
        line("leeway_ledger_failing", "gauge", "1 while the database takes no rows.",
             stats.failing ? 1 : 0);
    }
    out += budget_metrics();
    out += breaker_metrics();
    out += batch_metrics();
    out += traffic_metrics();
    out += calibration_metrics();
    out += outcome_metrics();
    out += cascade_metrics();
    out += controller_metrics();
    out += embeddings_.metrics();
    out += cache_metrics();
    return out;
}

}  // namespace leeway::app
