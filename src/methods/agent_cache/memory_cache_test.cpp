#include "methods/agent_cache/memory_cache.hpp"

#include "methods/agent_cache/testing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leeway::agent_cache {
namespace {

using testing::answer_of;
using testing::key_of;
using testing::now_ms;

/// One shard, so that the order of eviction is that of the whole cache.
MemoryCache one_shard(std::uint64_t bytes) { return MemoryCache(bytes, bytes); }

TEST(MemoryCache, EvictsTheLeastRecentlyUsed) {
    const auto cost = MemoryCache::cost(*answer_of(std::string(1000, 'x')));
    MemoryCache cache = one_shard(3 * cost);
    for (std::uint64_t i = 0; i < 3; ++i) cache.put(key_of(i), answer_of(std::string(1000, 'x')));
    EXPECT_NE(cache.find(key_of(0), now_ms()), nullptr);  // now 1 is the oldest
    cache.put(key_of(3), answer_of(std::string(1000, 'x')));
    EXPECT_NE(cache.find(key_of(0), now_ms()), nullptr);
    EXPECT_EQ(cache.find(key_of(1), now_ms()), nullptr);
    EXPECT_NE(cache.find(key_of(2), now_ms()), nullptr);
    EXPECT_NE(cache.find(key_of(3), now_ms()), nullptr);
    EXPECT_EQ(cache.stats().evicted, 1u);
}

TEST(MemoryCache, NeverPassesItsBound) {
    constexpr std::uint64_t kBytes = 1 << 20;
    MemoryCache cache(kBytes, 16 << 10);
    for (std::uint64_t i = 0; i < 5000; ++i) {
        cache.put(key_of(i), answer_of(std::string(i * 7919 % 20000, 'x')));
        ASSERT_LE(cache.stats().bytes, kBytes);
    }
    EXPECT_GT(cache.stats().entries, 50u);
    EXPECT_GT(cache.stats().evicted, 1000u);
}

TEST(MemoryCache, CountsBytesExactlyThroughReplacementAndErasure) {
    MemoryCache cache(1 << 20, 1 << 10);
    for (std::uint64_t i = 0; i < 50; ++i)
        cache.put(key_of(i % 10), answer_of(std::string(i, 'x')));
    EXPECT_EQ(cache.stats().entries, 10u);
    for (std::uint64_t i = 0; i < 10; ++i) cache.erase(key_of(i));
    EXPECT_EQ(cache.stats().entries, 0u);
    EXPECT_EQ(cache.stats().bytes, 0u);
}

TEST(MemoryCache, DoesNotKeepWhatIsLargerThanAShard) {
    MemoryCache cache = one_shard(1000);
    cache.put(key_of(1), answer_of("small"));
    cache.put(key_of(1), answer_of(std::string(2000, 'x')));
    EXPECT_EQ(cache.find(key_of(1), now_ms()), nullptr) << "the old answer is out of date";
    EXPECT_EQ(cache.stats().bytes, 0u);
}

TEST(MemoryCache, ExpiredIsAMissAndIsFreed) {
    MemoryCache cache(1 << 20, 1 << 10);
    const auto answer = answer_of("body", 1000);
    cache.put(key_of(1), answer);
    EXPECT_NE(cache.find(key_of(1), answer->expires_unix_ms - 1), nullptr);
    EXPECT_EQ(cache.find(key_of(1), answer->expires_unix_ms), nullptr);
    EXPECT_EQ(cache.stats().entries, 0u);
    EXPECT_EQ(answer.use_count(), 1);
}

TEST(MemoryCache, ForgetsATenantAndAll) {
    MemoryCache cache(1 << 20, 1 << 10);
    for (std::uint64_t i = 0; i < 100; ++i) {
        const auto answer = answer_of("body");
        answer->tenant = i % 2 + 1;
        cache.put(key_of(i), answer);
    }
    cache.erase_tenant(1);
    EXPECT_EQ(cache.stats().entries, 50u);
    EXPECT_EQ(cache.find(key_of(0), now_ms()), nullptr);
    EXPECT_NE(cache.find(key_of(1), now_ms()), nullptr);
    cache.clear();
    EXPECT_EQ(cache.stats().entries, 0u);
    EXPECT_EQ(cache.stats().bytes, 0u);
    EXPECT_EQ(cache.find(key_of(1), now_ms()), nullptr);
}

TEST(MemoryCache, NotesAUseOncePerTenMinutes) {
    MemoryCache cache(1 << 20, 1 << 10);
    const auto answer = answer_of("body");
    cache.put(key_of(1), answer);
    const std::int64_t later = answer->created_unix_ms + 11 * 60 * 1000;
    for (const std::int64_t now : {answer->created_unix_ms, later, later + 1, later + 60'000}) {
        EXPECT_NE(cache.find(key_of(1), now), nullptr);
    }
    std::vector<MemoryCache::Use> uses;
    cache.take_uses(uses);
    ASSERT_EQ(uses.size(), 1u);
    EXPECT_EQ(uses[0].key, key_of(1));
    EXPECT_EQ(uses[0].unix_ms, later);
    cache.take_uses(uses);
    EXPECT_EQ(uses.size(), 1u);
}

}  // namespace
}  // namespace leeway::agent_cache
