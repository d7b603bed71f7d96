#pragma once

#include "base/hash.hpp"

#include <array>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::agent_cache {

/// Remembers the cache keys of requests that came with the very same bytes before: a client that asks
/// again mostly sends the same text, and then neither the canonical form nor its SHA-256 is needed.
/// Bounded (about 1.5 MB when full); an entry goes when another takes its place. Thread-safe.
class ShardedKeyMemo {
public:
    /// `scope`: all that is in the key beside the body, the tenant among it. Compared byte for byte, so one
    /// scope never sees another's keys; `body` goes by 128 bits of a secret hash.
    [[nodiscard]] std::optional<Sha256> find(std::string_view scope, const Hash128& body);
    void put(std::string_view scope, const Hash128& body, const Sha256& key);

private:
    static constexpr std::size_t kShards = 64;
    static constexpr std::size_t kEntries = 64;  // of each shard

    struct Entry {
        std::string scope;
        Hash128 body;
        Sha256 key{};
    };
    struct Shard {
        std::mutex mutex;
        std::vector<Entry> entries;  // empty until the first `put`
    };

    std::array<Shard, kShards> shards_;
};

}  // namespace leeway::agent_cache
