#include "app/client_race.hpp"

#include <exception>
#include <utility>

namespace leeway::app {

/// Makes the strong model ready to be asked beside the weak one. False: it cannot be now, and all is as it was.
bool ClientRequest::prepare_strong(Course& course, Race& race) {
    course = {context_.trial.strong, {}, 0};
    const pipeline::Model* strong = next_target(course);
    if (strong == nullptr || !prepare_second(*strong, false, race)) return false;
    const std::string& name = race.second->provider.name;
    if (name != attempt_.provider) worker_.retry_budgets[name].request();
    return true;
}

/// Asks the weak model; without the end of its answer in time, the strong one as well. Where the weak one's convinces, the
/// strong one is stopped and settled. Where the strong one begins to answer before, it is the other way round. Where the
/// weak one's does not convince, or it fails, the strong one is waited for. `strong` is set when it is the attempt under
/// way from now on, with `course` as its own; `failure`, when the weak one came to nothing and the request is over.
Task<void> ClientRequest::ask_beside(Leg& weak, Course& course, Pass& pass,
                                     std::optional<Failure>& failure,
                                     std::unique_ptr<Leg>& strong) {
    Race race;
    std::exception_ptr thrown;
    try {
        co_await race_beside(weak, race, course, pass, failure, strong);
    } catch (...) {
        thrown = std::current_exception();
    }
    if (!thrown) co_return;
    co_await stop_race(race);  // nobody may be under way when its frame goes
    std::rethrow_exception(thrown);
}

Task<void> ClientRequest::race_beside(Leg& weak, Race& race, Course& course, Pass& pass,
                                      std::optional<Failure>& failure,
                                      std::unique_ptr<Leg>& strong) {
    auto& sides = race.sides;
    begin_race(weak, race);
    co_await await_first(race, attempt_start_ + context_.trial.check->early().strong_after);
    Course after{};
    if (sides[0].running() && !deadline_->interrupted() && !deadline_->client_left() &&
        prepare_strong(after, race))
        worker_.loop.spawn(run_side(*race.second, race, 1));
    const auto strong_answers = [&] {
        return sides[1].ended && answers(*race.second);
    };
    while (sides[0].running() && !strong_answers() && !deadline_->interrupted())
        co_await await_race(race, TimePoint::max());
    if (!sides[1].begun || deadline_->interrupted()) {
        co_await stop_race(race);
        if (sides[1].begun) second_lost(race);
        go_on_with(weak, race, 0);
        co_return;
    }
    bool goes_on = true;
    if (sides[0].running()) {
        co_await stop_race(race);
        first_lost(weak, race, pass);
        context_.note("cascade", "late");
        worker_.metrics.tried(context_.route->name, "late");
    } else {
        go_on_with(weak, race, 0);
        const bool heard = weak.started && weak.call.head().status < 400;
        if (heard && judge_trial(weak)) {
            co_await stop_race(race);
            second_lost(race);
            co_return;
        }
        goes_on = co_await leave_weak(weak, race, pass, failure);
    }
    if (!goes_on) co_return;
    context_.trial.weak = nullptr;
    course = std::move(after);
    logprobs_ = {};  // of the weak one's
    strong = std::move(race.second);
    go_on_with(*strong, race, 1);
}

/// The weak model has ended and its answer is not told: it has its row, and the strong one is waited for. False: the request
/// is over, and `failure` says what came of the weak one.
Task<bool> ClientRequest::leave_weak(Leg& weak, Race& race, Pass& pass,
                                     std::optional<Failure>& failure) {
    const TimePoint now = monotonic_now();
    co_await hear(weak, pass, failure);
    came_of(weak, pass, *failure);
    // A limit of the weak one's time that has passed is not the strong one's.
    if (!deadline_->resume() || deadline_->client_left()) {
        co_await stop_race(race);
        second_lost(race);
        co_return false;
    }
    failure.reset();
    waited_ -= now - race.second_start;
    take_up(std::move(race.aside));
    pass.reset();
    if (race.pass) pass.emplace(std::move(*race.pass));
    call_ = &race.second->call;
    while (race.sides[1].running() && !deadline_->interrupted())
        co_await await_race(race, TimePoint::max());
    co_await stop_race(race);
    co_return true;
}

}  // namespace leeway::app
