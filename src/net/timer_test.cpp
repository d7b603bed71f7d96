#include "net/timer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

namespace leeway::net {
namespace {

using std::chrono::milliseconds;

class TimerWheelTest : public ::testing::Test {
public:
    static void on_wake(void* self, TimePoint when) {
        static_cast<TimerWheelTest*>(self)->wake = when;
    }
    /// Moves the clock to `end`, advancing exactly when the wheel asks for it.
    void run_until(TimePoint end) {
        while (wake <= end) {
            now = std::max(now, wake);
            wake = TimePoint::max();
            ++wakes;
            wheel.advance(now);
        }
        now = std::max(now, end);
    }

    TimePoint now = TimePoint(std::chrono::hours(1));
    TimePoint wake = TimePoint::max();
    int wakes = 0;
    TimerWheel wheel{&TimerWheelTest::on_wake, this, now};
};

/// A timer that remembers when it fired.
struct Probe {
    Probe(TimerWheel& wheel, const TimePoint& clock)
        : timer(wheel, &Probe::fire, this), now(clock) {}
    static void fire(void* self) {
        auto& probe = *static_cast<Probe*>(self);
        ++probe.count;
        probe.at = probe.now;
    }
    Timer timer;
    const TimePoint& now;
    TimePoint at{};
    int count = 0;
};

TEST_F(TimerWheelTest, FiresOnceSoonAfterItsTimeAndNeverBefore) {
    const TimePoint start = now;
    std::vector<std::unique_ptr<Probe>> probes;
    std::vector<TimePoint> times;
    for (int i = 0; i < 400; ++i) {
        times.push_back(start + milliseconds(i * i % 60'011) + std::chrono::microseconds(i * 37));
        probes.push_back(std::make_unique<Probe>(wheel, now));
        probes.back()->timer.arm(times.back());
    }
    run_until(start + std::chrono::minutes(2));
    for (std::size_t i = 0; i < probes.size(); ++i) {
        EXPECT_EQ(probes[i]->count, 1);
        EXPECT_GE(probes[i]->at, times[i]);
        EXPECT_LE(probes[i]->at, times[i] + milliseconds(16));
    }
    EXPECT_EQ(wake, TimePoint::max()) << "an empty wheel sleeps";
}

TEST_F(TimerWheelTest, WakesSeldomForALongTimer) {
    Probe probe(wheel, now);
    probe.timer.arm(now + std::chrono::minutes(10));
    const TimePoint start = now;
    run_until(start + std::chrono::minutes(10) - milliseconds(1));
    EXPECT_EQ(probe.count, 0);
    EXPECT_LT(wakes, 200);
    run_until(start + std::chrono::minutes(10) + milliseconds(16));
    EXPECT_EQ(probe.count, 1);
}

TEST_F(TimerWheelTest, RearmsCancelsAndTakesTimesOfThePastAndTheFarFuture) {
    Probe moved(wheel, now);
    moved.timer.arm(now + milliseconds(10));
    moved.timer.arm(now + milliseconds(50));
    Probe canceled(wheel, now);
    canceled.timer.arm(now + milliseconds(10));
    canceled.timer.cancel();
    Probe past(wheel, now);
    past.timer.arm(now - std::chrono::hours(2));
    Probe never(wheel, now);
    never.timer.arm(TimePoint::max());
    const TimePoint start = now;
    run_until(start + milliseconds(40));
    EXPECT_EQ(moved.count, 0);
    EXPECT_EQ(past.count, 1);
    run_until(start + milliseconds(100));
    EXPECT_EQ(moved.count, 1);
    EXPECT_EQ(canceled.count, 0);
    EXPECT_EQ(never.count, 0);
    EXPECT_TRUE(never.timer.armed());
}

TEST_F(TimerWheelTest, SurvivesAJumpOfTime) {
    Probe near(wheel, now);
    near.timer.arm(now + milliseconds(10));
    Probe far(wheel, now);
    far.timer.arm(now + std::chrono::hours(3));
    now += std::chrono::hours(2);
    wheel.advance(now);
    EXPECT_EQ(near.count, 1);
    EXPECT_EQ(far.count, 0);
    wheel.advance(now - milliseconds(500));  // never happens; must do no harm
    Probe next(wheel, now);
    next.timer.arm(now + milliseconds(10));
    run_until(now + milliseconds(30));
    EXPECT_EQ(next.count, 1);
}

/// Does `action` when it fires.
struct Actor {
    Actor(TimerWheel& wheel, std::function<void()> f)
        : timer(wheel, &Actor::fire, this), action(std::move(f)) {}
    static void fire(void* self) { static_cast<Actor*>(self)->action(); }
    Timer timer;
    std::function<void()> action;
};

TEST_F(TimerWheelTest, ACallbackMayCancelAndDestroyOthersThatAreDue) {
    auto doomed = std::make_unique<Probe>(wheel, now);
    Probe canceled(wheel, now);
    Probe kept(wheel, now);
    Actor actor(wheel, [&] {
        doomed.reset();
        canceled.timer.cancel();
    });
    const TimePoint at = now + milliseconds(20);
    actor.timer.arm(at);
    doomed->timer.arm(at);
    canceled.timer.arm(at);
    kept.timer.arm(at);
    run_until(at + milliseconds(20));
    EXPECT_EQ(doomed, nullptr);
    EXPECT_EQ(canceled.count, 0);
    EXPECT_EQ(kept.count, 1);
}

TEST_F(TimerWheelTest, ACallbackMayArmATimeThatHasPassed) {
    // The wheel was late, so the slot of that time has been looked at already.
    Probe late(wheel, now);
    const TimePoint start = now;
    Actor actor(wheel, [&] { late.timer.arm(start); });
    actor.timer.arm(start + milliseconds(20));
    now = start + milliseconds(500);
    wheel.advance(now);
    run_until(start + milliseconds(520));
    EXPECT_EQ(late.count, 1);
}

TEST_F(TimerWheelTest, ATimerThatArmsItselfForNowDoesNotHoldTheLoop) {
    int fired = 0;
    Actor* self = nullptr;
    Actor actor(wheel, [&] {
        ++fired;
        self->timer.arm(now);
    });
    self = &actor;
    actor.timer.arm(now);
    const TimePoint start = now;
    run_until(start + milliseconds(100));
    EXPECT_GT(fired, 5);
    EXPECT_LT(fired, 30);
}

}  // namespace
}  // namespace leeway::net
