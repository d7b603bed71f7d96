#include "methods/agent_cache/disk_index.hpp"

#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace leeway::agent_cache {
namespace {

using testing::key_of;

TEST(DiskIndex, AgreesWithAMapOverManyRandomSteps) {
    DiskIndex index;
    std::unordered_map<std::uint64_t, std::int64_t> model;
    std::mt19937_64 random(7);
    constexpr std::int64_t kNow = 1'000'000'000;
    for (int step = 0; step < 200'000; ++step) {
        const std::uint64_t number = random() % 5000;
        const Sha256 key = key_of(number);
        switch (random() % 4) {
            case 0:
            case 1:
                model[number] = kNow + 1000;
                index.set(key, kNow + 1000);
                break;
            case 2:
                model.erase(number);
                index.erase(key);
                break;
            default: ASSERT_EQ(index.contains(key, kNow), model.contains(number)) << step;
        }
    }
    ASSERT_EQ(index.size(), model.size());
    for (std::uint64_t number = 0; number < 5000; ++number) {
        EXPECT_EQ(index.contains(key_of(number), kNow), model.contains(number)) << number;
    }
}

TEST(DiskIndex, ExpiredIsNotThere) {
    DiskIndex index;
    index.set(key_of(1), 5'000);
    EXPECT_TRUE(index.contains(key_of(1), 4'999));
    EXPECT_FALSE(index.contains(key_of(1), 5'000));
    index.set(key_of(1), 9'000);
    EXPECT_TRUE(index.contains(key_of(1), 5'000));
    EXPECT_EQ(index.size(), 1u);
}

TEST(DiskIndex, TakesTimesOutsideOfItsRange) {
    DiskIndex index;
    index.set(key_of(1), -5);
    index.set(key_of(2), std::int64_t{1} << 60);
    EXPECT_FALSE(index.contains(key_of(1), 2'000));
    EXPECT_TRUE(index.contains(key_of(2), 1'000'000'000'000));
    index.clear();
    EXPECT_EQ(index.size(), 0u);
    index.erase(key_of(1));
    EXPECT_FALSE(index.contains(key_of(2), 0));
}

TEST(DiskIndex, AMillionKeysTakeLessThanThirtyTwoMebibytes) {
    DiskIndex index;
    Sha256 key{};
    std::mt19937_64 random(1);
    for (int i = 0; i < 1'000'000; ++i) {
        for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
        index.set(key, 1'000'000);
    }
    EXPECT_EQ(index.size(), 1'000'000u);
    EXPECT_LT(index.bytes(), 32u << 20);
}

}  // namespace
}  // namespace leeway::agent_cache
