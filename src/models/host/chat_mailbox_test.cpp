#include "models/host/chat_mailbox.hpp"

#include <gtest/gtest.h>

#include <string>

namespace leeway::models {
namespace {

/// Runs what was posted so far; once per loop.
void settle(net::EventLoop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

TEST(ChatMailbox, puts_together_what_comes_while_nobody_looks) {
    net::EventLoop loop;
    const auto mailbox = std::make_shared<ChatMailbox>(loop, 2, 1000);
    const auto first = mailbox->sink(0);
    const auto second = mailbox->sink(1);
    first->on_delta({"a", {}});
    second->on_delta({"x", {}});
    first->on_delta({"b", {}});
    ChatEnd end;
    end.reason = FinishReason::kLength;
    first->on_done(end);
    std::vector<ChatMailbox::Piece> pieces;
    ASSERT_TRUE(mailbox->take(pieces));
    ASSERT_EQ(pieces.size(), 2u);
    EXPECT_EQ(pieces[0].text, "ab");
    ASSERT_TRUE(pieces[0].end);
    EXPECT_EQ(pieces[0].end->reason, FinishReason::kLength);
    EXPECT_EQ(pieces[1].text, "x");
    EXPECT_FALSE(pieces[1].end);
    EXPECT_FALSE(mailbox->take(pieces));
    EXPECT_TRUE(pieces[0].empty());
}

TEST(ChatMailbox, stops_the_jobs_when_too_much_waits) {
    net::EventLoop loop;
    const auto mailbox = std::make_shared<ChatMailbox>(loop, 1, 10);
    int stops = 0;
    mailbox->set_stop([&stops] { ++stops; });
    const auto sink = mailbox->sink(0);
    sink->on_delta({"12345678", {}});
    EXPECT_FALSE(mailbox->overflowed());
    sink->on_delta({"90123456", {}});
    sink->on_delta({"dropped", {}});
    settle(loop);
    EXPECT_EQ(stops, 1);
    EXPECT_TRUE(mailbox->overflowed());
    std::vector<ChatMailbox::Piece> pieces;
    EXPECT_TRUE(mailbox->take(pieces));
    EXPECT_EQ(pieces[0].text, "12345678");
}

TEST(ChatMailbox, a_reader_that_keeps_up_is_never_too_slow) {
    net::EventLoop loop;
    const auto mailbox = std::make_shared<ChatMailbox>(loop, 1, 10);
    const auto sink = mailbox->sink(0);
    std::vector<ChatMailbox::Piece> pieces;
    for (int i = 0; i < 100; ++i) {
        sink->on_delta({"12345678", {}});
        EXPECT_TRUE(mailbox->take(pieces));
    }
    EXPECT_FALSE(mailbox->overflowed());
    settle(loop);
}

TEST(ChatMailbox, an_interruption_stops_the_jobs) {
    net::EventLoop loop;
    const auto mailbox = std::make_shared<ChatMailbox>(loop, 1, 10);
    int stops = 0;
    mailbox->set_stop([&stops] { ++stops; });
    ChatMailbox::interrupt(mailbox.get());
    EXPECT_EQ(stops, 1);
    EXPECT_TRUE(mailbox->arrival().await_ready());
    settle(loop);
}

}  // namespace
}  // namespace leeway::models
