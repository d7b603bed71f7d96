#include "store/vectors/testing.hpp"
#include "store/vectors/vector_index.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace leeway::store::vectors {
namespace {

using testing::Clustered;
using testing::Vector;

TEST(VectorIndexThreads, ReadersSeeEachChangeWholeWhileGraphsAreBuilt) {
    constexpr std::uint32_t kNumbers = 32;
    VectorIndex::Options options;
    options.dimension = kNumbers;
    options.precision = Precision::kInt8;
    VectorIndex index(options);
    Clustered source(kNumbers, 50, 0.8);
    // One entry is replaced all the time; whoever looks for it must find exactly one of its states.
    const Vector left = source.next();
    const Vector right = source.jittered(left, 0.3);
    ASSERT_TRUE(index.add(1, left, "left"));
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> searches{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&, i] {
            Clustered own(kNumbers, 1, 0.5, 100 + static_cast<std::uint64_t>(i));
            const std::array<std::uint64_t, 1> only = {1};
            while (!stop) {
                Filter filter = Filter::of(only);
                if (own.random() % 2 == 0) {
                    filter = {};
                    filter.accepts = [](std::uint64_t id) {
                        return id == 1;
                    };
                }
                const auto matches = index.search(left, 3, filter);
                ASSERT_TRUE(matches);
                ASSERT_EQ(matches->size(), 1U);
                const Match& match = matches->front();
                ASSERT_TRUE(match.payload == "left" || match.payload == "right");
                ASSERT_NEAR(match.cosine,
                            testing::cosine(left, match.payload == "left" ? left : right), 0.005);
                ASSERT_TRUE(index.search(own.next(), 5));
                ++searches;
            }
        });
    }
    threads.emplace_back([&] {
        while (!stop) {
            if (!index.wants_maintenance() || !index.maintain(stop)) std::this_thread::yield();
        }
    });
    for (int step = 0; step < 12000 || searches < 50; ++step) {
        const bool is_left = step % 2 == 0;
        ASSERT_TRUE(index.add(1, is_left ? right : left, is_left ? "right" : "left"));
        ASSERT_TRUE(index.add(2 + source.random() % 4000, source.next()));
        if (step % 3 == 0) index.remove(2 + source.random() % 4000);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace leeway::store::vectors
