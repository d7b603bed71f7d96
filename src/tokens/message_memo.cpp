#include "tokens/message_memo.hpp"

#include <algorithm>
#include <bit>

namespace leeway::tokens {

MessageMemo::MessageMemo(std::size_t entries) {
    const std::size_t each = std::bit_ceil(std::max<std::size_t>(entries, 256)) / kShards;
    for (Shard& shard : shards_) shard.entries.resize(std::max(each, kWays));
}

std::optional<std::size_t> MessageMemo::find(const Hash128& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const std::size_t bucket = bucket_of(shard, key);
    for (std::size_t way = 0; way < kWays; ++way) {
        const Entry& entry = shard.entries[bucket + way];
        if (entry.hash == key && entry.count != 0) return entry.count - 1;
    }
    return std::nullopt;
}

void MessageMemo::put(const Hash128& key, std::size_t count) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    auto* const bucket = shard.entries.data() + bucket_of(shard, key);
    std::move_backward(bucket, bucket + kWays - 1, bucket + kWays);
    bucket[0] = {key, count + 1};
}

std::size_t MessageMemo::count(Tokenizer& tokenizer, std::string_view text) {
    if (text.size() < kShortest) return tokenizer.count(text);
    Hash128 key = process_hash128(text);
    // Another vocabulary is another key.
    key.low ^= tokenizer.vocabulary().fingerprint() * 0x9E3779B97F4A7C15U;
    if (const auto known = find(key)) {
        hits_.fetch_add(1, std::memory_order_relaxed);
        return *known;
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    const std::size_t tokens = tokenizer.count(text);
    put(key, tokens);
    return tokens;
}

}  // namespace leeway::tokens
