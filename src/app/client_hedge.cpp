#include "app/client_race.hpp"
#include "net/timer.hpp"

#include <utility>

namespace leeway::app {
namespace {

using Reason = net::Deadline::Reason;

}  // namespace

ClientRequest::AttemptState ClientRequest::put_aside() {
    AttemptState out;
    out.model = context_.model;
    out.row = std::exchange(attempt_, {});
    out.start = attempt_start_;
    out.open = std::exchange(attempt_open_, false);
    out.hold = std::exchange(hold_, {});
    out.losses = std::exchange(losses_, {});
    out.tier_word = std::exchange(context_.tier_word, {});
    return out;
}

void ClientRequest::take_up(AttemptState state) {
    context_.model = state.model;
    attempt_ = std::move(state.row);
    attempt_start_ = state.start;
    attempt_open_ = state.open;
    hold_ = state.hold;
    losses_ = std::move(state.losses);
    context_.tier_word = state.tier_word;
}

/// How long the attempt under way is waited for alone; nullopt: it has no rival. Only the first of a request has one:
/// what comes after a failure is one already.
std::optional<Duration> ClientRequest::hedge_after(const Course& course, bool stands_in) const {
    const pipeline::Route* route = context_.route;
    if (route == nullptr || context_.held_out || stands_in || on_trial() || attempts_made_ != 1 ||
        course.next != 1)
        return std::nullopt;
    if (route->hedge_after.count() > 0) return route->hedge_after;
    const providers::Breaker* breaker = snapshot_->breaker(*context_.model);
    if (!route->hedge_at_p95 || breaker == nullptr) return std::nullopt;
    return breaker->first_byte_p95();
}

/// Sends the first attempt on its way.
void ClientRequest::begin_race(Leg& first, Race& race) {
    net::Timeouts limits = first.provider.origin.timeouts;
    limits.total = total_;
    race.sides[0].deadline.emplace(worker_.loop, limits);
    deadline_->enter(net::Deadline::Phase::kIdle);
    worker_.loop.spawn(run_side(first, race, 0));
}

Task<void> ClientRequest::run_side(Leg& leg, Race& race, std::size_t side) {
    const auto end = [&race, side] {
        race.sides[side].ended = true;
        if (race.waiting) race.waiting->deliver(true);
    };
    race.sides[side].begun = true;
    try {
        co_await ask(leg, *race.sides[side].deadline);
    } catch (...) {
        leg.started = fail(ErrorCode::kInternal, "an attempt ended with an exception");
        leg.opening.reset();
        end();
        throw;
    }
    end();
}

/// Until an attempt has ended, `until`, or an interruption of the request.
Task<void> ClientRequest::await_race(Race& race, TimePoint until) {
    const auto waiting = std::make_shared<Race::End>(worker_.loop);
    race.waiting = waiting;
    net::Timer timer(worker_.loop.timers(), &Race::End::interrupt, waiting.get());
    if (until != TimePoint::max()) timer.arm(until);
    const net::Deadline::Guard guard(*deadline_, &Race::End::interrupt, waiting.get());
    Race::End& awaited = *waiting;
    co_await awaited;
    race.waiting.reset();
}

/// Until the first attempt has ended, `late`, or an interruption of the request.
Task<void> ClientRequest::await_first(Race& race, TimePoint late) {
    while (race.sides[0].running() && !deadline_->interrupted() && monotonic_now() < late)
        co_await await_race(race, late);
}

/// Who is still under way hears that we hang up, or why the request is over. Until both have ended.
Task<void> ClientRequest::stop_race(Race& race) {
    for (Race::Side& side : race.sides) {
        if (!side.running()) continue;
        side.deadline->interrupt(deadline_->interrupted() ? deadline_->reason()
                                                          : Reason::kClientGone);
    }
    while (race.sides[0].running() || race.sides[1].running())
        co_await await_race(race, TimePoint::max());
}

/// Makes the next in line ready to be asked as well. False: nobody can be, and all is as it was.
bool ClientRequest::prepare_hedge(Course& course, Race& race) {
    if (course.targets.empty()) course.targets = targets(*course.chosen);
    if (course.next >= course.targets.size()) return false;
    if (!prepare_second(*course.targets[course.next], true, race)) return false;
    ++course.next;
    return true;
}

/// Makes the second attempt ready: its target, its place in the retry budget (`is_retry`) and in the budgets of money.
/// False: it cannot be made, and all is as it was.
bool ClientRequest::prepare_second(const pipeline::Model& model, bool is_retry, Race& race) {
    AttemptState first = put_aside();
    context_.model = &model;
    const providers::Provider& provider = snapshot_->provider(model);
    std::optional<Failure> failure;
    race.second = std::make_unique<Leg>(worker_, provider, model, *deadline_);
    const bool ready = !needs_readiness(model) && available(race.pass, failure) &&
                       (!is_retry || worker_.retry_budgets[provider.name].take()) &&
                       prepare(provider, race.second->prepared) &&
                       (snapshot_->budgets() == nullptr || !reserve_again());
    if (!ready) {
        race.second.reset();
        race.pass.reset();
        take_up(std::move(first));
        return false;
    }
    net::Timeouts limits = provider.origin.timeouts;
    limits.total = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_->remaining());
    race.sides[1].deadline.emplace(worker_.loop, limits);
    race.second_start = monotonic_now();
    if (auto* load = snapshot_->load(model))
        race.second->under_way.emplace(*load, race.second_start);
    begin_attempt(provider);
    race.aside = put_aside();
    take_up(std::move(first));
    return true;
}

/// Asks `first`; without its first byte in time, the next in line as well. Who answers first goes on as the attempt
/// under way, the other one is stopped and settled. `second` is set when it is that one; where neither answers, the
/// first is the one that is told of.
Task<void> ClientRequest::ask_hedged(Leg& first, Duration patience, Course& course, Pass& pass,
                                     std::unique_ptr<Leg>& second) {
    Race race;
    auto& sides = race.sides;
    begin_race(first, race);
    co_await await_first(race, attempt_start_ + patience);
    if (sides[0].running() && !deadline_->interrupted() && !deadline_->client_left()) {
        const bool asked = prepare_hedge(course, race);
        worker_.metrics.doubled(asked ? telemetry::Double::kHedge : telemetry::Double::kHedgeLeft);
        if (asked) worker_.loop.spawn(run_side(*race.second, race, 1));
    }
    const auto won = [&](std::size_t side) {
        return sides[side].ended && answers(side == 0 ? first : *race.second);
    };
    while ((sides[0].running() || sides[1].running()) && !won(0) && !won(1) &&
           !deadline_->interrupted())
        co_await await_race(race, TimePoint::max());
    const bool second_won = !won(0) && won(1);
    co_await stop_race(race);
    if (sides[1].begun) {
        const std::string& name = race.second->model.name;
        const char* what = second_won ? ":won" : answers(first) ? ":lost" : ":failed";
        if (second_won) {
            fell_back_ = fell_back_ || name != first.model.name;
            worker_.metrics.doubled(telemetry::Double::kHedgeWon);
            first_lost(first, race, pass);
        } else {
            second_lost(race);
        }
        context_.note("hedge", name + what);
    }
    if (second_won) second = std::move(race.second);
    go_on_with(second ? *second : first, race, second ? 1 : 0);
}

/// The second is the attempt under way from now on, and the first has its row.
void ClientRequest::first_lost(Leg& first, Race& race, Pass& pass) {
    const TimePoint now = monotonic_now();
    const bool begun = first.tried && first.started;  // it was stopped before its end
    if (begun && pass) pass->answered(first.head_at - attempt_start_, now);
    if (providers::Breaker* breaker = begun ? nullptr : snapshot_->breaker(first.model)) {
        const Duration took = now - attempt_start_;  // at least
        const Duration slow = breaker->spec().slow;
        breaker->note_first_byte(took);
        if (pass && slow > Duration::zero() && took > slow) pass->failed(now);
    }
    settle_loser(first);
    take_up(std::move(race.aside));
    pass.reset();
    if (race.pass) pass.emplace(std::move(*race.pass));
    // While both were asked, the time counts once.
    waited_ -= now - race.second_start;
}

/// The first is the attempt under way still, and the second has its row.
void ClientRequest::second_lost(Race& race) {
    const TimePoint now = monotonic_now();
    const bool stopped = race.sides[1].deadline->reason() == Reason::kClientGone;
    if (race.pass && !stopped && !answers(*race.second)) {
        const bool well =
            race.second->started && !race.second->opening && race.second->call.head().status < 500;
        well ? race.pass->succeeded(now) : race.pass->failed(now);
    }
    AttemptState of_first = put_aside();
    take_up(std::move(race.aside));
    settle_loser(*race.second);
    take_up(std::move(of_first));
    waited_ -= now - race.second_start;
}

/// `leg` is the attempt under way, and the request's deadline is the one that limits it.
void ClientRequest::go_on_with(Leg& leg, Race& race, std::size_t side) {
    const net::Deadline& own = *race.sides[side].deadline;
    if (own.interrupted()) deadline_->interrupt(own.reason());  // its time limits are the request's
    net::Timeouts rest = leg.provider.origin.timeouts;
    rest.total = total_;
    deadline_->set_timeouts(rest);
    leg.call.limit_by(*deadline_);
    deadline_->enter(net::Deadline::Phase::kChunks);
}

/// Ends the attempt under way, whose answer nobody waits for any more.
void ClientRequest::settle_loser(Leg& leg) {
    const std::uint32_t last =
        ended_last_;  // the one whose answer is told ends after it, or has ended
    worker_.metrics.upstream_connection(leg.call.reused());
    const bool refused = leg.started && !leg.opening && leg.call.head().status >= 400;
    wire::usage::UsageReading usage;
    if (!leg.call.sent()) {
        attempt_.cost = PicoUsd(0);
    } else if (leg.tried) {
        if (leg.tried->stream) usage = usage_of(*leg.tried->stream);
    } else if (!refused && context_.view.stream) {
        usage = count_input();  // its provider bills it, and what it had made of the answer
    }
    int status = 0;
    if (refused) status = leg.call.head().status;
    if (leg.opening || (leg.tried && leg.started)) status = 200;
    end_attempt(status, refused ? ledger::EndState::kError : ledger::EndState::kClientGone, usage);
    ended_last_ = last;
    leg.call.release();
    if (hold_.open) settle_budget();
}

}  // namespace leeway::app
