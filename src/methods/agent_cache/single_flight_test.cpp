#include "methods/agent_cache/single_flight.hpp"

#include "base/task.hpp"
#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <optional>
#include <random>
#include <vector>

namespace leeway::agent_cache {
namespace {

using testing::answer_of;
using testing::key_of;
using testing::ManualExecutor;
using testing::ThreadExecutor;
using Ending = SingleFlight::Ending;
using Role = SingleFlight::Role;

Task<void> follow(SingleFlight::Follower& follower, std::optional<SingleFlight::Outcome>& out) {
    out.emplace(co_await follower.wait());
}

void start(Task<void> task) {
    spawn(std::move(task), [](const std::exception_ptr&) { std::abort(); });
}

TEST(SingleFlight, OneLeadsAndTheOthersGetItsAnswer) {
    ManualExecutor executor;
    SingleFlight flights;
    auto leader = flights.join(key_of(1), executor);
    ASSERT_EQ(leader.role, Role::kLeader);
    std::vector<SingleFlight::Ticket> tickets;
    for (int i = 0; i < 10; ++i) tickets.push_back(flights.join(key_of(1), executor));
    std::vector<std::optional<SingleFlight::Outcome>> outcomes(tickets.size());
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        ASSERT_EQ(tickets[i].role, Role::kFollower);
        start(follow(tickets[i].follower, outcomes[i]));
    }
    EXPECT_EQ(flights.stats().flights, 1u);
    EXPECT_EQ(flights.stats().followers, 10u);
    const AnswerPtr answer = answer_of("shared");
    leader.lease.finish(answer);
    EXPECT_FALSE(leader.lease);
    EXPECT_FALSE(outcomes[0].has_value()) << "resumed inside of finish";
    executor.run_all();
    for (const auto& outcome : outcomes) {
        ASSERT_TRUE(outcome.has_value());
        EXPECT_EQ(outcome->ending, Ending::kAnswer);
        EXPECT_EQ(outcome->answer, answer);
    }
    EXPECT_EQ(flights.stats().flights, 0u);
    EXPECT_EQ(flights.join(key_of(1), executor).role, Role::kLeader);
}

TEST(SingleFlight, AnOutcomeThatCameBeforeTheWaitIsThere) {
    ManualExecutor executor;
    SingleFlight flights;
    auto leader = flights.join(key_of(1), executor);
    auto ticket = flights.join(key_of(1), executor);
    leader.lease.finish(answer_of("early"));
    executor.run_all();
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(ticket.follower, outcome));
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->answer->body, "early");
}

TEST(SingleFlight, NothingToShareLetsAllGoOnAlone) {
    ManualExecutor executor;
    SingleFlight flights;
    auto leader = flights.join(key_of(1), executor);
    auto ticket = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(ticket.follower, outcome));
    leader.lease.finish(nullptr);
    executor.run_all();
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ending, Ending::kAlone);
    EXPECT_FALSE(outcome->lease);
}

TEST(SingleFlight, ADroppedLeaseMakesTheOldestFollowerTheLeader) {
    ManualExecutor executor;
    SingleFlight flights;
    std::optional<SingleFlight::Ticket> leader = flights.join(key_of(1), executor);
    auto second = flights.join(key_of(1), executor);
    auto third = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Outcome> second_outcome;
    std::optional<SingleFlight::Outcome> third_outcome;
    start(follow(second.follower, second_outcome));
    start(follow(third.follower, third_outcome));
    leader.reset();
    executor.run_all();
    ASSERT_TRUE(second_outcome.has_value());
    EXPECT_EQ(second_outcome->ending, Ending::kLead);
    EXPECT_TRUE(second_outcome->lease);
    EXPECT_FALSE(third_outcome.has_value());
    EXPECT_EQ(flights.join(key_of(1), executor).role, Role::kFollower);
    second_outcome->lease.finish(answer_of("from the second"));
    executor.run_all();
    ASSERT_TRUE(third_outcome.has_value());
    EXPECT_EQ(third_outcome->answer->body, "from the second");
}

TEST(SingleFlight, ALeaseWithoutFollowersEndsTheFlight) {
    ManualExecutor executor;
    SingleFlight flights;
    {
        auto leader = flights.join(key_of(1), executor);
    }
    EXPECT_EQ(flights.stats().flights, 0u);
}

TEST(SingleFlight, AnInterruptedFollowerWakesByAPostedJobAndTheFlightGoesOn) {
    ManualExecutor executor;
    SingleFlight flights;
    auto leader = flights.join(key_of(1), executor);
    auto ticket = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(ticket.follower, outcome));
    ticket.follower.interrupt();
    EXPECT_FALSE(outcome.has_value());
    leader.lease.finish(answer_of("late"));
    executor.run_all();
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ending, Ending::kInterrupted);
    EXPECT_EQ(outcome->answer, nullptr);
}

TEST(SingleFlight, AnInterruptAfterTheOutcomeChangesNothing) {
    ManualExecutor executor;
    SingleFlight flights;
    auto leader = flights.join(key_of(1), executor);
    auto ticket = flights.join(key_of(1), executor);
    leader.lease.finish(answer_of("in time"));
    executor.run_all();
    ticket.follower.interrupt();
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(ticket.follower, outcome));
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ending, Ending::kAnswer);
    EXPECT_EQ(executor.waiting(), 0u);
}

TEST(SingleFlight, ALeaseOnItsWayToAFollowerThatIsGoneReachesTheNext) {
    ManualExecutor executor;
    SingleFlight flights;
    std::optional<SingleFlight::Ticket> leader = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Ticket> gone = flights.join(key_of(1), executor);
    auto interrupted = flights.join(key_of(1), executor);
    auto last = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Outcome> interrupted_outcome;
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(interrupted.follower, interrupted_outcome));
    start(follow(last.follower, outcome));
    interrupted.follower.interrupt();
    leader.reset();  // the job with the lease is posted …
    gone.reset();    // … and finds nobody
    executor.run_all();
    ASSERT_TRUE(interrupted_outcome.has_value());
    EXPECT_EQ(interrupted_outcome->ending, Ending::kInterrupted);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ending, Ending::kLead);
}

TEST(SingleFlight, ALeaseThatArrivedButWasNotTakenReachesTheNext) {
    ManualExecutor executor;
    SingleFlight flights;
    std::optional<SingleFlight::Ticket> leader = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Ticket> idle = flights.join(key_of(1), executor);
    auto last = flights.join(key_of(1), executor);
    std::optional<SingleFlight::Outcome> outcome;
    start(follow(last.follower, outcome));
    leader.reset();
    executor.run_all();
    idle.reset();
    executor.run_all();
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->ending, Ending::kLead);
}

/// A coroutine whose frame its owner may destroy while it waits.
struct Destroyable {
    struct promise_type {
        Destroyable get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::abort(); }
    };
    std::coroutine_handle<promise_type> handle;
};

Destroyable wait_in_frame(SingleFlight::Ticket ticket, int& resumed) {
    const SingleFlight::Outcome outcome = co_await ticket.follower.wait();
    ++resumed;
}

TEST(SingleFlight, ADestroyedFrameIsNotResumed) {
    ManualExecutor executor;
    SingleFlight flights;
    int resumed = 0;
    for (const bool post_first : {false, true}) {
        auto leader = flights.join(key_of(1), executor);
        const Destroyable frame = wait_in_frame(flights.join(key_of(1), executor), resumed);
        if (post_first) leader.lease.finish(answer_of("x"));
        frame.handle.destroy();
        EXPECT_EQ(flights.stats().followers, 0u);
        leader.lease.finish(answer_of("x"));
        executor.run_all();
    }
    EXPECT_EQ(resumed, 0);
}

TEST(SingleFlight, BeyondTheBoundRequestsGoAlone) {
    ManualExecutor executor;
    SingleFlight flights(2);
    auto leader = flights.join(key_of(1), executor);
    auto first = flights.join(key_of(1), executor);
    auto second = flights.join(key_of(1), executor);
    EXPECT_EQ(flights.join(key_of(1), executor).role, Role::kAlone);
    first = {};
    EXPECT_EQ(flights.join(key_of(1), executor).role, Role::kFollower);
    EXPECT_EQ(flights.join(key_of(2), executor).role, Role::kLeader);
}

TEST(SingleFlight, LeasesAndFollowersMayOutliveIt) {
    ManualExecutor executor;
    std::optional<SingleFlight> flights(std::in_place);
    auto leader = flights->join(key_of(1), executor);
    auto dropped = flights->join(key_of(2), executor);
    auto follower = flights->join(key_of(1), executor);
    flights.reset();
    leader.lease.finish(answer_of("x"));
    dropped = {};
    EXPECT_EQ(executor.waiting(), 0u);
}

/// One request as the stage will do it: lead, or wait; a leader gives up now and then.
struct Load {
    SingleFlight flights{50};
    std::atomic<int> answered{0};
    std::atomic<int> alone{0};
    std::atomic<int> gave_up{0};
    std::atomic<int> asked_upstream{0};
};

Task<void> one_request(Load& load, Executor& executor, std::uint64_t number, std::latch& done) {
    const std::uint64_t wanted = number % 5;
    SingleFlight::Ticket ticket = load.flights.join(key_of(wanted), executor);
    SingleFlight::Lease lease = std::move(ticket.lease);
    AnswerPtr answer;
    if (ticket.role == Role::kFollower) {
        if (number % 11 == 0) ticket.follower.interrupt();
        SingleFlight::Outcome outcome = co_await ticket.follower.wait();
        answer = std::move(outcome.answer);
        lease = std::move(outcome.lease);
        EXPECT_EQ(answer != nullptr, outcome.ending == Ending::kAnswer);
    }
    if (answer) {
        EXPECT_EQ(answer->body, std::to_string(wanted));
        ++load.answered;
    } else if (!lease) {
        ++load.alone;
    } else if (number % 7 == 0) {
        ++load.gave_up;
        lease.hand_over();
    } else {
        ++load.asked_upstream;
        // Somewhere else meanwhile: others join.
        PostedValue<int> upstream(executor);
        const auto sender = upstream.sender();
        sender.send(0);
        (void)co_await upstream.receive();
        lease.finish(number % 13 == 0 ? nullptr : answer_of(std::to_string(wanted)));
    }
    done.count_down();
}

TEST(SingleFlight, ThreadsHammeringOnFewKeysAllComeToAnEnd) {
    constexpr int kThreads = 4;
    constexpr int kRequests = 4000;
    Load load;
    std::latch done(kThreads * kRequests);
    {
        std::vector<std::unique_ptr<ThreadExecutor>> executors;
        for (int i = 0; i < kThreads; ++i) executors.push_back(std::make_unique<ThreadExecutor>());
        std::mt19937_64 random(3);
        for (int i = 0; i < kRequests; ++i) {
            for (auto& executor : executors) {
                executor->post([&load, &done, at = executor.get(), number = random()] {
                    start(one_request(load, *at, number, done));
                });
            }
        }
        done.wait();
    }
    EXPECT_EQ(load.answered + load.alone + load.gave_up + load.asked_upstream,
              kThreads * kRequests);
    EXPECT_EQ(load.flights.stats().flights, 0u);
    EXPECT_EQ(load.flights.stats().followers, 0u);
    EXPECT_GT(load.asked_upstream, 0);
}

}  // namespace
}  // namespace leeway::agent_cache
