#include "methods/agent_cache/sharded_key_memo.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace leeway::agent_cache {
namespace {

Sha256 key_of(int number) { return sha256(std::to_string(number)); }
Hash128 body_of(int number) { return process_hash128("body " + std::to_string(number)); }

TEST(ShardedKeyMemo, FindsOnlyTheSameScopeAndBody) {
    ShardedKeyMemo memo;
    EXPECT_FALSE(memo.find("web", body_of(1)));
    memo.put("web", body_of(1), key_of(1));
    EXPECT_EQ(memo.find("web", body_of(1)), key_of(1));
    EXPECT_FALSE(memo.find("web", body_of(2)));
    EXPECT_FALSE(memo.find("we", body_of(1)));
    EXPECT_FALSE(memo.find("", body_of(1)));
}

TEST(ShardedKeyMemo, ALaterEntryTakesThePlaceOfAnEarlierOne) {
    ShardedKeyMemo memo;
    memo.put("one", body_of(1), key_of(1));
    memo.put("two", body_of(1), key_of(2));
    EXPECT_FALSE(memo.find("one", body_of(1)));
    EXPECT_EQ(memo.find("two", body_of(1)), key_of(2));
    for (int i = 0; i < 100'000; ++i) memo.put("web", body_of(i), key_of(i));
    int kept = 0;
    for (int i = 0; i < 100'000; ++i) {
        const auto found = memo.find("web", body_of(i));
        if (!found) continue;
        ++kept;
        EXPECT_EQ(*found, key_of(i));
    }
    EXPECT_GT(kept, 3000);
    EXPECT_LE(kept, 4096);
}

TEST(ShardedKeyMemo, ThreadsSeeWholeEntries) {
    ShardedKeyMemo memo;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&memo, t] {
            const std::string scope = "tenant " + std::to_string(t);
            for (int i = 0; i < 20'000; ++i) {
                memo.put(scope, body_of(i % 50), key_of(t * 1000 + i % 50));
                const auto found = memo.find(scope, body_of(i % 50));
                if (found) {
                    EXPECT_EQ(*found, key_of(t * 1000 + i % 50));
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace leeway::agent_cache
