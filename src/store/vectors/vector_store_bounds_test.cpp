#include "store/vectors/store_testing.hpp"
#include "store/vectors/vector_store.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace leeway::store::vectors {
namespace {

using namespace std::chrono_literals;
using testing::Vector;
using testing::VectorStoreTest;

TEST_F(VectorStoreTest, TheLeastRecentlyUsedOfAPartitionGo) {
    options.most_partition_entries = 100;
    const auto store = open();
    std::vector<Vector> all;
    for (std::uint64_t id = 0; id < 100; ++id) {
        all.push_back(source.next());
        put(*store, partition("a"), id, all.back());
    }
    ASSERT_TRUE(store->flush());
    sql("UPDATE entry SET used_s = 1000 + id");
    // As after a restart, where uses come from the file.
    const auto again = open();
    ASSERT_TRUE(has(*again, partition("a"), 0, all[0]));
    for (std::uint64_t id = 0; id < 5; ++id) again->touch(partition("a"), id);
    for (std::uint64_t id = 100; id < 104; ++id) put(*again, partition("a"), id, source.next());
    ASSERT_TRUE(again->flush());
    ASSERT_TRUE(again->flush()) << "what the bound removed is written in the next round";
    EXPECT_EQ(again->stats().memory_entries, 95U);
    EXPECT_EQ(ask("SELECT count(*) FROM entry"), 95);
    EXPECT_EQ(again->stats().evicted, 9U);
    EXPECT_TRUE(has(*again, partition("a"), 0, all[0])) << "it was of use";
    EXPECT_FALSE(has(*again, partition("a"), 5, all[5]));
    EXPECT_FALSE(has(*again, partition("a"), 13, all[13]));
    EXPECT_TRUE(has(*again, partition("a"), 14, all[14]));
}

TEST_F(VectorStoreTest, TheLeastRecentlyUsedOfAllGo) {
    options.most_entries = 200;
    {
        const auto store = open();
        for (std::uint64_t id = 0; id < 100; ++id) put(*store, partition("old"), id, source.next());
    }
    sql("UPDATE entry SET used_s = 1000 + id");
    const auto store = open();
    EXPECT_EQ(found(*store, partition("old"), source.next(), 1000).size(), 100U);
    for (std::uint64_t id = 0; id < 110; ++id) put(*store, partition("new"), id, source.next());
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(store->stats().entries, 190U);
    EXPECT_EQ(found(*store, partition("old"), source.next(), 1000).size(), 80U);
    EXPECT_EQ(found(*store, partition("new"), source.next(), 1000).size(), 110U);
}

TEST_F(VectorStoreTest, WhatExpiredIsGone) {
    const Vector v = source.next();
    const std::int64_t now = unix_now_s();
    const auto fill = [&](VectorStore& store) {
        put(store, partition("a"), 1, v, "over", now - 1);
        put(store, partition("a"), 2, v, "not yet", now + 3600);
        put(store, partition("a"), 3, v, "never");
    };
    const auto wait = [&](VectorStore& store) {
        for (int i = 0; i < 2000 && store.stats().expired == 0; ++i) {
            std::this_thread::sleep_for(5ms);
        }
        const auto matches = found(store, partition("a"), v, 5);
        ASSERT_EQ(matches.size(), 2U);
        EXPECT_EQ(matches[0].payload, "not yet");
        EXPECT_EQ(store.stats().expired, 1U);
    };
    {
        const auto store = open();
        ASSERT_TRUE(store->flush());  // it has tended
        fill(*store);
        ASSERT_TRUE(store->flush());
        EXPECT_EQ(found(*store, partition("a"), v, 5).size(), 3U);
    }
    wait(*open());
    EXPECT_EQ(ask("SELECT count(*) FROM entry"), 2);
    options.path.clear();
    options.tend_every = 10ms;
    const auto store = open();
    fill(*store);
    wait(*store);
}

// Each conversation has partitions of its own, so those that are over must cost nothing.
TEST_F(VectorStoreTest, PartitionsThatLostAllTheirEntriesAreForgotten) {
    const auto store = open();
    const Vector v = source.next();
    for (int i = 0; i < 20; ++i) put(*store, partition("a" + std::to_string(i)), 1, v);
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(ask("SELECT count(*) FROM partition"), 20);
    for (int i = 0; i < 19; ++i) store->remove(partition("a" + std::to_string(i)), 1);
    ASSERT_TRUE(store->flush());
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(ask("SELECT count(*) FROM partition"), 1);
    EXPECT_EQ(store->stats().partitions, 1U);
    // One that is asked again begins anew.
    put(*store, partition("a3"), 2, v);
    ASSERT_TRUE(store->flush());
    EXPECT_TRUE(has(*store, partition("a3"), 2, v));
    EXPECT_TRUE(has(*store, partition("a19"), 1, v));
    EXPECT_EQ(ask("SELECT count(*) FROM partition"), 2);
}

TEST_F(VectorStoreTest, UsesAreKeptOverARestart) {
    options.tend_every = 10ms;
    {
        const auto store = open();
        put(*store, partition("a"), 1, source.next());
        put(*store, partition("a"), 2, source.next());
        ASSERT_TRUE(store->flush());
        sql("UPDATE entry SET used_s = 1000");
        store->touch(partition("a"), 2);
        for (int i = 0; i < 2000 && ask("SELECT max(used_s) FROM entry") == 1000; ++i) {
            std::this_thread::sleep_for(5ms);
        }
    }
    EXPECT_EQ(ask("SELECT id FROM entry WHERE used_s > 1000"), 2);
}

TEST_F(VectorStoreTest, PartitionsThatAreNotSearchedLeaveMemory) {
    options.most_memory_bytes = 100'000;
    const auto store = open();
    const Vector v = source.next();
    for (int key = 0; key < 20; ++key) {
        for (std::uint64_t id = 0; id < 100; ++id) {
            put(*store, partition(std::to_string(key)), id, v, std::to_string(key));
        }
        ASSERT_TRUE(store->flush());
        std::this_thread::sleep_for(60ms);  // more than a second in all: the bound is looked at
    }
    put(*store, partition("19"), 5, v, "19");
    ASSERT_TRUE(store->flush());
    EXPECT_GT(store->stats().unloads, 5U);
    EXPECT_EQ(store->stats().entries, 2000U) << "nothing is lost by that";
    for (int key = 0; key < 20; ++key) {
        const auto matches = found(*store, partition(std::to_string(key)), v, 200);
        ASSERT_EQ(matches.size(), 100U);
        EXPECT_EQ(matches[0].payload, std::to_string(key));
    }
    ASSERT_TRUE(store->flush());
    EXPECT_LE(store->stats().memory_bytes, options.most_memory_bytes + 50'000);
}

TEST_F(VectorStoreTest, InMemoryOnlyWholePartitionsGo) {
    options.path.clear();
    options.most_memory_bytes = 100'000;
    const auto store = open();
    EXPECT_FALSE(store->stats().on_disk);
    for (int key = 0; key < 20; ++key) {
        for (std::uint64_t id = 0; id < 100; ++id) {
            put(*store, partition(std::to_string(key)), id, source.next());
        }
        ASSERT_TRUE(store->flush());
        std::this_thread::sleep_for(60ms);
    }
    put(*store, partition("19"), 500, source.next());
    ASSERT_TRUE(store->flush());
    EXPECT_LT(store->stats().partitions, 15U);
    EXPECT_EQ(store->stats().dropped, 0U);
    EXPECT_GE(found(*store, partition("19"), source.next(), 200).size(), 100U);
}

}  // namespace
}  // namespace leeway::store::vectors
