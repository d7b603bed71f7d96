#include "net/deadline.hpp"

#include <gtest/gtest.h>

namespace leeway::net {
namespace {

using Reason = Deadline::Reason;

/// Answers how long a request goes on without its client, and counts who asks.
struct Granting {
    static Duration ask(void* self) {
        auto& granting = *static_cast<Granting*>(self);
        ++granting.asked;
        return granting.time;
    }
    Duration time;
    int asked = 0;
};

class DeadlineTest : public ::testing::Test {
public:
    static void on_interrupt(void* self) { ++static_cast<DeadlineTest*>(self)->interrupts; }

    EventLoop loop;
    Deadline deadline{loop, Timeouts()};
    Deadline::Guard guard{deadline, &DeadlineTest::on_interrupt, this};
    int interrupts = 0;
};

TEST_F(DeadlineTest, AClientThatLeavesStopsTheRequest) {
    deadline.interrupt(Reason::kClientGone);
    EXPECT_EQ(deadline.reason(), Reason::kClientGone);
    EXPECT_FALSE(deadline.client_left()) << "nobody let it go on";
    EXPECT_EQ(interrupts, 1);
}

TEST_F(DeadlineTest, WithinAStayTheRequestGoesOnWithoutItsClient) {
    Granting granting{std::chrono::seconds(30)};
    {
        const Deadline::Stay stay(deadline, &Granting::ask, &granting);
        deadline.interrupt(Reason::kClientGone);
        deadline.interrupt(Reason::kClientGone);
        EXPECT_EQ(granting.asked, 1);
        EXPECT_TRUE(deadline.client_left());
        EXPECT_FALSE(deadline.interrupted());
        EXPECT_EQ(interrupts, 0);
    }
    EXPECT_EQ(deadline.reason(), Reason::kClientGone) << "what comes after is for nobody";
    EXPECT_EQ(interrupts, 1);
}

TEST_F(DeadlineTest, AStayThatIsRefusedStopsAtOnce) {
    Granting granting{Duration::zero()};
    const Deadline::Stay stay(deadline, &Granting::ask, &granting);
    deadline.interrupt(Reason::kClientGone);
    EXPECT_EQ(deadline.reason(), Reason::kClientGone);
    EXPECT_FALSE(deadline.client_left());
    EXPECT_EQ(interrupts, 1);
}

TEST_F(DeadlineTest, AStayHoldsNothingElseUp) {
    Granting granting{std::chrono::seconds(30)};
    const Deadline::Stay stay(deadline, &Granting::ask, &granting);
    deadline.interrupt(Reason::kClientGone);
    deadline.interrupt(Reason::kShutdown);
    EXPECT_EQ(deadline.reason(), Reason::kShutdown);
    EXPECT_EQ(interrupts, 1);
}

TEST_F(DeadlineTest, AStayEndsAfterItsTime) {
    Granting granting{std::chrono::milliseconds(20)};
    const Deadline::Stay stay(deadline, &Granting::ask, &granting);
    deadline.interrupt(Reason::kClientGone);
    EXPECT_FALSE(deadline.interrupted());
    Timer stop(loop.timers(), [](void* self) { static_cast<EventLoop*>(self)->stop(); }, &loop);
    stop.arm(monotonic_now() + std::chrono::milliseconds(120));
    loop.run();
    EXPECT_EQ(deadline.reason(), Reason::kClientGone);
    EXPECT_EQ(interrupts, 1);
}

TEST_F(DeadlineTest, ARequestWhoseClientStaysIsAsItWas) {
    Granting granting{std::chrono::seconds(30)};
    {
        const Deadline::Stay stay(deadline, &Granting::ask, &granting);
    }
    EXPECT_FALSE(deadline.interrupted());
    EXPECT_EQ(granting.asked, 0);
    deadline.interrupt(Reason::kClientGone);
    EXPECT_TRUE(deadline.interrupted()) << "the stay is over";
}

}  // namespace
}  // namespace leeway::net
