#include "methods/agent_cache/sharded_key_memo.hpp"

namespace leeway::agent_cache {

// Both indices come from the body's hash alone: two scopes that send one body share a place, and the
// later one has it.
std::optional<Sha256> ShardedKeyMemo::find(std::string_view scope, const Hash128& body) {
    Shard& shard = shards_[body.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) return std::nullopt;
    const Entry& entry = shard.entries[body.high % kEntries];
    if (!(entry.body == body) || entry.scope != scope) return std::nullopt;
    return entry.key;
}

void ShardedKeyMemo::put(std::string_view scope, const Hash128& body, const Sha256& key) {
    Shard& shard = shards_[body.low % kShards];
    const std::lock_guard lock(shard.mutex);
    if (shard.entries.empty()) shard.entries.resize(kEntries);
    Entry& entry = shard.entries[body.high % kEntries];
    entry.scope.assign(scope);
    entry.body = body;
    entry.key = key;
}

}  // namespace leeway::agent_cache
