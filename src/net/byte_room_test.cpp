#include "net/byte_room.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace leeway::net {
namespace {

TEST(ByteRoom, PartsNeverPassTheLimitTogether) {
    ByteRoom room(100);
    ByteRoom::Part first;
    EXPECT_TRUE(first.grow(&room, 60));
    EXPECT_TRUE(first.grow(&room, 50)) << "fewer change nothing";
    EXPECT_EQ(first.bytes(), 60U);
    {
        ByteRoom::Part second;
        EXPECT_FALSE(second.grow(&room, 41));
        EXPECT_TRUE(second.grow(&room, 40));
        EXPECT_FALSE(first.grow(&room, 61));
        EXPECT_EQ(first.bytes(), 60U) << "what was held stays";
    }
    EXPECT_TRUE(first.grow(&room, 100)) << "given back at its end";
    first.give_back();
    first.give_back();
    ByteRoom::Part all;
    EXPECT_TRUE(all.grow(&room, 100));
    EXPECT_FALSE(first.grow(&room, 1));
    EXPECT_TRUE(first.grow(nullptr, UINT64_MAX)) << "no room is no limit";
}

TEST(ByteRoom, ManyThreadsGiveBackWhatTheyTook) {
    ByteRoom room(1000);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&room] {
            for (std::uint64_t n = 1; n < 5000; ++n) {
                ByteRoom::Part part;
                (void)part.grow(&room, n % 400);
                (void)part.grow(&room, n % 700);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    ByteRoom::Part all;
    EXPECT_TRUE(all.grow(&room, 1000));
}

}  // namespace
}  // namespace leeway::net
