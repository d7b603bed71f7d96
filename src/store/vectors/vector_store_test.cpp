#include "store/vectors/vector_store.hpp"

#include "store/vectors/store_testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <thread>
#include <vector>

namespace leeway::store::vectors {
namespace {

using testing::Clustered;
using testing::kCosineError;
using testing::kDimension;
using testing::Mailbox;
using testing::Vector;
using testing::VectorStoreTest;

TEST_F(VectorStoreTest, RefusesSenselessOptions) {
    options.most_entries = 0;
    EXPECT_FALSE(open_vector_store(options));
}

TEST_F(VectorStoreTest, PartitionsNeverMeet) {
    const auto store = open();
    const Vector v = source.next();
    put(*store, partition("a"), 1, v, "of a");
    put(*store, partition("a", "model-2"), 2, v, "of the other model");
    put(*store, partition("b"), 3, v, "of b");
    const auto of_a = found(*store, partition("a"), v, 10);
    ASSERT_EQ(of_a.size(), 1U);
    EXPECT_EQ(of_a[0].id, 1U);
    EXPECT_EQ(of_a[0].payload, "of a");
    EXPECT_EQ(found(*store, partition("a", "model-2"), v, 10)[0].payload, "of the other model");
    EXPECT_TRUE(found(*store, partition("c"), v, 10).empty());
    // Names that would be equal if they were only put together.
    put(*store, {.key = "x", .fingerprint = "yz", .dimension = kDimension}, 7, v);
    const Partition other{.key = "xy", .fingerprint = "z", .dimension = kDimension};
    EXPECT_TRUE(found(*store, other, v).empty());
}

TEST_F(VectorStoreTest, WhatWasPutIsFoundAtOnceAndAfterARestart) {
    for (const Precision precision : {Precision::kFloat32, Precision::kInt8}) {
        options.precision = precision;
        const Partition in = partition("p" + std::to_string(static_cast<int>(precision)));
        const Vector first = source.next();
        const Vector second = source.next();
        {
            const auto store = open();
            put(*store, in, 1, first, "one");
            put(*store, in, 1, second, "one again");
            put(*store, in, 2, first, "two");
            put(*store, in, 3, first, "three");
            store->remove(in, 3);
            EXPECT_EQ(found(*store, in, second)[0].payload, "one again");
        }
        const auto store = open();
        VectorQuery query{.partition = in,
                          .vector = std::make_shared<const Vector>(second),
                          .k = 5,
                          .filter = {}};
        EXPECT_FALSE(store->find(query)) << "not loaded yet";
        const auto matches = found(*store, in, second, 5);
        ASSERT_EQ(matches.size(), 2U);
        EXPECT_EQ(matches[0].payload, "one again");
        EXPECT_EQ(matches[1].payload, "two");
        ASSERT_TRUE(store->find(query));
        EXPECT_EQ(store->stats().loads, 1U);
    }
}

TEST_F(VectorStoreTest, PutsBeforeAPartitionIsLoadedJoinWhatIsOnDisk) {
    const Vector old = source.next();
    const Vector fresh = source.next();
    {
        const auto store = open();
        put(*store, partition("a"), 1, old, "old");
        put(*store, partition("a"), 2, old, "to go");
    }
    const auto store = open();
    put(*store, partition("a"), 1, fresh, "new");
    store->remove(partition("a"), 2);
    put(*store, partition("a"), 3, fresh, "newer");
    const auto matches = found(*store, partition("a"), fresh, 5);
    ASSERT_EQ(matches.size(), 2U);
    EXPECT_EQ(matches[0].payload, "new");
    EXPECT_EQ(matches[1].payload, "newer");
}

TEST_F(VectorStoreTest, FollowsAModelThroughRestarts) {
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<Vector, std::string>> wanted;
    auto store = open();
    for (int step = 0; step < 2000; ++step) {
        const std::uint64_t key = source.random() % 3;
        const std::uint64_t id = source.random() % 100;
        const Partition in = partition(std::to_string(key));
        if (source.random() % 4 != 0) {
            const Vector v = source.next();
            const std::string payload = std::to_string(step);
            put(*store, in, id, v, payload);
            wanted[{key, id}] = {v, payload};
        } else {
            store->remove(in, id);
            wanted.erase({key, id});
        }
        if (step % 400 == 399) {
            store.reset();
            options.precision = step % 800 == 399 ? Precision::kFloat32 : Precision::kInt8;
            store = open();
            EXPECT_EQ(store->stats().entries, wanted.size());
        }
    }
    for (const auto& [at, entry] : wanted) {
        const auto matches =
            found(*store, partition(std::to_string(at.first)), entry.first, wanted.size());
        const auto hit = std::find_if(matches.begin(), matches.end(),
                                      [&](const Match& match) { return match.id == at.second; });
        ASSERT_NE(hit, matches.end());
        EXPECT_EQ(hit->payload, entry.second);
        EXPECT_NEAR(hit->cosine, 1.0, kCosineError);
    }
    EXPECT_EQ(store->stats().memory_entries, wanted.size());
    EXPECT_EQ(store->stats().damaged, 0U);
}

TEST_F(VectorStoreTest, RefusesWhatDoesNotFit) {
    options.most_payload_bytes = 10;
    const auto store = open();
    put(*store, partition("a"), 1, Vector{1, 0});
    put(*store, partition("a"), 2, Vector(kDimension, std::numeric_limits<float>::infinity()));
    put(*store, partition("a"), 3, source.next(), "longer than ten");
    store->put(partition("a"), {.id = 4, .vector = nullptr, .payload = {}});
    EXPECT_EQ(store->stats().refused, 4U);
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(store->stats().entries, 0U);
    EXPECT_FALSE(search(*store, partition("a"), Vector{1, 0}));
}

TEST_F(VectorStoreTest, ClearForgetsAPrefixAndNothingElse) {
    const Vector v = source.next();
    {
        const auto store = open();
        for (const char* key : {"a", "ab", "b"}) put(*store, partition(key), 1, v, key);
        put(*store, partition("a", "model-2"), 1, v);
        ASSERT_TRUE(store->flush());
        put(*store, partition("a"), 2, v, "not written yet");
        store->clear("a/");
        EXPECT_TRUE(found(*store, partition("a"), v, 5).empty());
        EXPECT_TRUE(found(*store, partition("a", "model-2"), v, 5).empty());
        EXPECT_EQ(found(*store, partition("ab"), v, 5).size(), 1U);
        put(*store, partition("a"), 9, v, "afterwards");
        ASSERT_TRUE(store->flush());
        EXPECT_EQ(store->stats().entries, 3U);
        EXPECT_EQ(ask("SELECT count(*) FROM entry"), 3);
    }
    const auto store = open();
    const auto matches = found(*store, partition("a"), v, 5);
    ASSERT_EQ(matches.size(), 1U);
    EXPECT_EQ(matches[0].payload, "afterwards");
    store->clear("");
    ASSERT_TRUE(store->flush());
    EXPECT_EQ(ask("SELECT count(*) FROM entry"), 0);
    EXPECT_EQ(ask("SELECT count(*) FROM partition"), 0);
}

TEST_F(VectorStoreTest, ClearWhileAPartitionWaitsToBeLoaded) {
    const Vector v = source.next();
    {
        const auto store = open();
        put(*store, partition("a"), 1, v);
    }
    const auto store = open();
    Mailbox<VectorStore::Found> box;
    VectorQuery query{.partition = partition("a"),
                      .vector = std::make_shared<const Vector>(v),
                      .k = 5,
                      .filter = {}};
    store->search(query, [&](VectorStore::Found found) { box.put(std::move(found)); });
    store->clear("a/");
    ASSERT_TRUE(box.get()) << "whoever waits is answered";
    EXPECT_TRUE(found(*store, partition("a"), v, 5).empty());
}

TEST_F(VectorStoreTest, WhoeverWaitsIsAnsweredWhenTheStoreGoes) {
    const Vector v = source.next();
    {
        const auto store = open();
        for (std::uint64_t id = 0; id < 50; ++id) put(*store, partition("a"), id, v);
    }
    Mailbox<VectorStore::Found> box;
    {
        const auto store = open();
        VectorQuery query{.partition = partition("a"),
                          .vector = std::make_shared<const Vector>(v),
                          .k = 5,
                          .filter = {}};
        store->search(query, [&](VectorStore::Found found) { box.put(std::move(found)); });
    }
    EXPECT_TRUE(box.get());
}

TEST_F(VectorStoreTest, ManyThreadsAtOnce) {
    options.most_partition_entries = 300;
    options.most_memory_bytes = 400'000;
    const auto store = open();
    std::vector<std::thread> threads;
    for (std::uint64_t number = 0; number < 4; ++number) {
        threads.emplace_back([&, number] {
            Clustered own(kDimension, 10, 0.7, 50 + number);
            for (int step = 0; step < 1500; ++step) {
                const std::string key = std::to_string(own.random() % 6);
                const Partition in = partition(key);
                const std::uint64_t id = own.random() % 400;
                switch (own.random() % 8) {
                    case 0: store->remove(in, id); break;
                    case 1: store->touch(in, id); break;
                    case 2:
                        if (own.random() % 30 == 0) store->clear(key + "/");
                        break;
                    case 3:
                    case 4:
                        for (const Match& match : found(*store, in, own.next(), 5)) {
                            EXPECT_EQ(match.payload, key);
                        }
                        break;
                    default: put(*store, in, id, own.next(), key);
                }
                if (step % 500 == 0) (void)store->stats();
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(store->flush());
    ASSERT_TRUE(store->flush());
    // What is on disk is what searches find.
    std::size_t sum = 0;
    for (int key = 0; key < 6; ++key) {
        sum += found(*store, partition(std::to_string(key)), source.next(), 10000).size();
    }
    EXPECT_EQ(static_cast<std::size_t>(ask("SELECT count(*) FROM entry")), sum);
    EXPECT_EQ(store->stats().entries, sum);
}

}  // namespace
}  // namespace leeway::store::vectors
