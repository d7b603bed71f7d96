#include "base/frame_pool.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace leeway {
namespace {

TEST(FramePool, LiveFramesNeverOverlap) {
    std::vector<std::pair<unsigned char*, std::size_t>> live;
    for (std::size_t round = 0; round < 3; ++round) {
        for (const unsigned size : {1U, 127U, 128U, 129U, 1032U, 4096U, 8192U, 8193U, 100'000U}) {
            auto* frame = static_cast<unsigned char*>(take_frame(size));
            std::memset(frame, static_cast<int>(live.size() + 1), size);
            live.emplace_back(frame, size);
        }
        // Half are given back and taken again in the next round.
        for (std::size_t i = 0; i < live.size(); i += 2) {
            for (std::size_t at = 0; at < live[i].second; ++at)
                ASSERT_EQ(live[i].first[at], live[i].first[0]);
            give_frame(live[i].first, live[i].second);
            live[i] = live.back();
            live.pop_back();
        }
    }
    for (const auto& [frame, size] : live) give_frame(frame, size);
}

TEST(FramePool, TakesFramesBackFromAnotherThread) {
    std::vector<void*> frames;
    for (int i = 0; i < 100; ++i) frames.push_back(take_frame(600));
    std::thread other([&frames] {
        for (void* frame : frames) give_frame(frame, 600);
        void* const again = take_frame(600);
        EXPECT_NE(again, nullptr);
        give_frame(again, 600);
    });
    other.join();
}

TEST(FramePool, KeepsABoundedAmount) {
    std::set<void*> distinct;
    std::vector<void*> frames;
    for (int i = 0; i < 2000; ++i) frames.push_back(take_frame(4096));
    for (void* frame : frames) distinct.insert(frame);
    EXPECT_EQ(distinct.size(), frames.size());
    for (void* frame : frames) give_frame(frame, 4096);
}

}  // namespace
}  // namespace leeway
