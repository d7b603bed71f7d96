#include "ledger/ring.hpp"

#include "ledger/testing.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <thread>

namespace leeway::ledger {
namespace {

using testing::TemporaryFolder;

std::unique_ptr<Ring> open_ring(const std::string& path, std::uint64_t capacity = 8192) {
    auto ring = Ring::open(path, capacity);
    if (!ring) {
        ADD_FAILURE() << ring.error().text();
        std::abort();
    }
    return std::move(*ring);
}

std::string payload(std::uint64_t number, std::size_t size) {
    std::string out = std::to_string(number) + ":";
    out.resize(std::max(size, out.size()), static_cast<char>('a' + number % 26));
    return out;
}

TEST(LedgerRing, GivesBackWhatWasPushedOverManyLaps) {
    const TemporaryFolder folder;
    const auto ring = open_ring(folder.path() + "/r");
    std::mt19937_64 rng(1);
    std::uint64_t pushed = 0;
    std::uint64_t read = 0;
    std::vector<std::string> expected;
    while (read < 5000) {
        for (std::uint64_t n = rng() % 20; n > 0; --n) {
            const std::string text = payload(pushed, rng() % 600);
            if (!ring->push(text)) break;
            expected.push_back(text);
            ++pushed;
        }
        const bool give_up = rng() % 4 == 0;
        const std::uint64_t before = read;
        for (std::uint64_t n = rng() % 20; n > 0; --n) {
            const auto text = ring->next();
            if (!text) break;
            ASSERT_EQ(*text, expected[read]);
            ++read;
        }
        if (give_up) {
            ring->rewind();
            read = before;
        } else {
            ring->release();
        }
    }
    EXPECT_EQ(ring->damaged_bytes(), 0U);
}

TEST(LedgerRing, RefusesWhenFullAndTakesAgainAfterRelease) {
    const TemporaryFolder folder;
    const auto ring = open_ring(folder.path() + "/r", 4096);
    int taken = 0;
    while (ring->push(payload(0, 100))) ++taken;
    EXPECT_GT(taken, 25);
    EXPECT_FALSE(ring->push(std::string(3000, 'x'))) << "more than half of the ring";
    ASSERT_TRUE(ring->next());
    EXPECT_FALSE(ring->push(payload(0, 100))) << "read is not yet released";
    ring->release();
    EXPECT_TRUE(ring->push(payload(0, 100)));
}

TEST(LedgerRing, FindsUnreleasedRecordsAfterReopen) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/r";
    std::mt19937_64 rng(2);
    std::uint64_t first = 0;  // not yet released
    std::uint64_t next = 0;   // not yet pushed
    for (int round = 0; round < 300; ++round) {
        const auto ring = open_ring(path);
        for (std::uint64_t n = first; n < next; ++n) {
            const auto text = ring->next();
            ASSERT_TRUE(text) << n;
            ASSERT_EQ(*text, payload(n, 50 + n % 300));
        }
        EXPECT_FALSE(ring->next());
        EXPECT_EQ(ring->damaged_bytes(), 0U);
        ring->rewind();
        for (std::uint64_t n = rng() % (next - first + 1); n > 0; --n, ++first) (void)ring->next();
        ring->release();
        for (std::uint64_t n = rng() % 25; n > 0; --n) {
            if (!ring->push(payload(next, 50 + next % 300))) break;
            ++next;
        }
    }
}

TEST(LedgerRing, DropsATornLastFrameAndKeepsTheOthers) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/r";
    {
        const auto ring = open_ring(path);
        for (std::uint64_t n = 0; n < 3; ++n) ASSERT_TRUE(ring->push(payload(n, 80)));
    }
    {
        // As if the process had died in the middle of the third.
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 + 2 * (24 + 80) + 60);
        file.write("torn", 4);
    }
    const auto ring = open_ring(path);
    EXPECT_EQ(ring->next(), payload(0, 80));
    EXPECT_EQ(ring->next(), payload(1, 80));
    EXPECT_FALSE(ring->next());
    EXPECT_GT(ring->damaged_bytes(), 0U) << "it had been published, so this is no torn append";
    ASSERT_TRUE(ring->push(payload(9, 80)));
    EXPECT_EQ(ring->next(), payload(9, 80));
}

// Found by the simulator: 16 bytes were waited for until the next record came.
TEST(LedgerRing, HoldsNothingAfterReopenWhenOnlyARestIsTooShortForAFrame) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/r";
    {
        const auto ring = open_ring(path, 4096);
        for (int i = 0; i < 2; ++i) ASSERT_TRUE(ring->push(std::string(2016, 'x')));
        while (ring->next()) {
        }
        ring->release();
    }
    const auto ring = open_ring(path, 4096);
    EXPECT_EQ(ring->used(), 0U);
    EXPECT_FALSE(ring->has_unread());
    ASSERT_TRUE(ring->push("next"));
    EXPECT_EQ(ring->next(), "next");
    ring->release();
    EXPECT_EQ(ring->used(), 0U);
}

TEST(LedgerRing, RefusesAFileThatIsNoRing) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/r";
    std::ofstream(path) << "hello";
    const auto ring = Ring::open(path, 4096);
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error().reason, "damaged");
}

TEST(LedgerRing, StartsAShortLapWhenItIsEmpty) {
    const TemporaryFolder folder;
    const auto ring = open_ring(folder.path() + "/r", 4 << 20);
    for (std::uint64_t n = 0; n < 20'000; ++n) {
        ASSERT_TRUE(ring->push(payload(n, 400)));
        ASSERT_EQ(ring->next(), payload(n, 400));
        ring->release();
        if (n % 1000 == 0) ring->trim();
    }
    EXPECT_EQ(ring->used(), 0U);
}

TEST(LedgerRing, PassesRecordsBetweenTwoThreads) {
    const TemporaryFolder folder;
    const auto ring = open_ring(folder.path() + "/r", 16384);
    constexpr std::uint64_t kCount = 50'000;
    std::thread producer([&] {
        for (std::uint64_t n = 0; n < kCount; ++n) {
            while (!ring->push(payload(n, n % 200))) std::this_thread::yield();
        }
    });
    for (std::uint64_t n = 0; n < kCount;) {
        const auto text = ring->next();
        if (!text) {
            ring->release();
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(*text, payload(n, n % 200));
        if (++n % 7 == 0) ring->release();
    }
    producer.join();
    EXPECT_EQ(ring->damaged_bytes(), 0U);
}

}  // namespace
}  // namespace leeway::ledger
