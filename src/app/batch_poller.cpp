#include "app/batch_poller.hpp"

#include "app/batch_settlement.hpp"
#include "app/budget_policy.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace leeway::app {
namespace {

/// What providers promise; until one of them has told the end of a batch.
constexpr std::int64_t kUsualLifeSeconds = 24 * 3600;

/// Somewhere between nothing and `most`.
Duration jitter(Duration most) {
    return most / 1'000 * static_cast<std::int64_t>(fast_random() % 1'000);
}

bool is_gone(int status) { return status == 404 || status == 410; }

}  // namespace

BatchPoller::BatchPoller(WorkerState& worker)
    : worker_(worker), timer_(worker.loop.timers(), &BatchPoller::fire, this) {}

Duration BatchPoller::wait_before(const BatchesConfig& config, std::int64_t age_s,
                                  std::uint32_t failures, std::uint64_t random) noexcept {
    const Duration first = config.first_look;
    const Duration longest = std::max<Duration>(first, config.longest_wait);
    Duration wait = std::clamp<Duration>(std::chrono::seconds(age_s) / 4, first, longest);
    for (; failures > 0 && wait < longest; --failures) wait *= 2;
    wait = std::min(wait, longest);
    return wait + wait / 5'000 * static_cast<std::int64_t>(random % 1'000);
}

void BatchPoller::start() { arm(Duration::zero()); }

void BatchPoller::stop() noexcept {
    stopping_ = true;
    timer_.cancel();
    if (deadline_ != nullptr) deadline_->interrupt(net::Deadline::Reason::kShutdown);
}

void BatchPoller::arm(Duration wait) noexcept {
    if (!stopping_) timer_.arm(monotonic_now() + wait);
}

void BatchPoller::fire(void* self) {
    auto& poller = *static_cast<BatchPoller*>(self);
    poller.running_.store(true);
    poller.worker_.loop.spawn(poller.round());
}

/// Looks at all that is due. A batch that was made meanwhile is seen by the round after this one, which is not later than
/// its first look.
Task<void> BatchPoller::round() {
    const std::shared_ptr<const Snapshot> snapshot = worker_.snapshot;
    const BatchesConfig& config = snapshot->batches_config();
    Duration next = config.first_look;
    std::vector<StoredBatch> open;
    // What was reserved before our start is not in the book as long as it waits.
    const bool waits = snapshot->budgets() != nullptr && snapshot->budgets()->book->waiting();
    if (snapshot->batches() != nullptr && worker_.ledger != nullptr && !waits) {
        if (auto read = snapshot->batches()->unsettled()) {
            open = std::move(*read);
        } else {
            spdlog::error("batches that are under way cannot be read: {}", read.error().text());
        }
    }
    // Requests that were gathered into one batch are looked at together.
    std::map<std::string, std::vector<StoredBatch>> groups;
    for (StoredBatch& batch : open) {
        // Without an id its provider is being asked, or never answered.
        if (!batch.id.empty())
            groups[fmt::format("{}/{}", batch.provider, batch.id)].push_back(std::move(batch));
    }
    std::map<std::string, Plan> plans;
    for (const auto& [name, group] : groups) {
        if (stopping_) break;
        const std::int64_t age_s =
            std::max<std::int64_t>(0, (unix_now_us() - group.front().ts_us) / 1'000'000);
        const auto known = plans_.find(name);
        Plan plan;
        if (known != plans_.end()) {
            plan = known->second;
        } else {
            // One of before our start is not looked at together with all others of its age.
            const Duration first = config.first_look;
            plan.due = monotonic_now() +
                       std::max<Duration>(first - std::chrono::seconds(age_s), jitter(first));
        }
        if (plan.due <= monotonic_now()) {
            const Look look = co_await this->look(group);
            plan.failures = look == Look::kFailed ? plan.failures + 1 : 0;
            plan.due = monotonic_now() + wait_before(config, age_s, plan.failures, fast_random());
        }
        next = std::min(next, plan.due - monotonic_now());
        plans.emplace(name, plan);
    }
    plans_ = std::move(plans);
    running_.store(false);
    arm(std::max<Duration>(next, std::chrono::milliseconds(10)));
}

/// `group`: one batch, or all requests of one that are not settled.
Task<BatchPoller::Look> BatchPoller::look(const std::vector<StoredBatch>& group) {
    const StoredBatch& batch = group.front();
    const std::shared_ptr<const Snapshot> snapshot = worker_.snapshot;
    BatchCounters& counters = snapshot->batches()->counters();
    BatchLink link(worker_, *snapshot, pipeline::no_headers());
    // One that has gone from the configuration may come back; until then nobody can be asked.
    if (!link.go_to(batch.provider)) co_return Look::kFailed;
    counters.looks.fetch_add(1, std::memory_order_relaxed);
    ProviderAsk wanted;
    wanted.path = fmt::format("{}/{}", link.dialect().path, batch.id);
    deadline_ = &link.deadline();
    auto answer = co_await link.ask(std::move(wanted));
    Result<void> done;
    bool over = false;
    if (!answer) {
        done = fail(std::move(answer.error()));
    } else {
        const auto state = link.dialect().read_state(answer->body);
        const bool told = answer->status == 200 && state && state->id == batch.id;
        if (told) {
            if (batch.line.empty()) {
                done = co_await link.see(batch, *state);
            } else {
                done = co_await link.see_lines(group, *state);
            }
            over = done && state->ended();
        } else if (!is_gone(answer->status)) {
            done = fail(ErrorCode::kUpstreamInvalid,
                        fmt::format("the upstream answered with status {}", answer->status));
        }
        const std::int64_t grace = snapshot->batches_config().grace.count();
        const std::int64_t expires = told && state->expires_unix_s > 0 ? state->expires_unix_s
                                     : batch.expires_unix_s > 0
                                         ? batch.expires_unix_s
                                         : batch.ts_us / 1'000'000 + kUsualLifeSeconds;
        if (done && !over && unix_now_s() >= expires + grace) {
            spdlog::warn("id={} batch {} has not ended in time; it is charged as reserved",
                         batch.record.text(), batch.id);
            std::vector<ledger::RequestRecord> rows;
            rows.reserve(group.size());
            for (const StoredBatch& one : group)
                rows.push_back(lost_row_of(one, "batch_never_ended"));
            done = link.post(group, std::move(rows));
        }
    }
    deadline_ = nullptr;
    if (done) co_return Look::kDone;
    if (!stopping_) {
        counters.failed_looks.fetch_add(1, std::memory_order_relaxed);
        spdlog::warn("id={} batch {} cannot be looked at: {}", batch.record.text(), batch.id,
                     done.error().text());
    }
    co_return Look::kFailed;
}

}  // namespace leeway::app
