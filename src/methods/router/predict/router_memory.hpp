#pragma once

#include "base/hash.hpp"
#include "methods/cascade/pacer.hpp"
#include "methods/router/predict/outcome_predictor.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace leeway::router {

/// The price of money on one route, for all workers.
class SharedPacer {
public:
    explicit SharedPacer(const cascade::Pacer& pacer) : pacer_(pacer) {}
    [[nodiscard]] double lambda() const;
    /// What a request cost in the end, USD.
    void settle(double cost);

private:
    mutable std::mutex mutex_;
    cascade::Pacer pacer_;  // guarded by mutex_
};

/// What was predicted of texts that came before, as those of an agent that works on one question: several requests in which a
/// person said the same last. Of one router. Bounded; an entry goes when another takes its place. Thread-safe.
class PredictionMemo {
public:
    /// `asked`: a hash of the text and of whose it is, so that nobody sees by the time whether another asked it.
    [[nodiscard]] std::vector<Prediction> find(const Hash128& asked);
    void put(const Hash128& asked, std::vector<Prediction> told);

private:
    static constexpr std::size_t kShards = 16;
    static constexpr std::size_t kEntries = 256;  // of each shard

    struct Entry {
        Hash128 asked;
        std::vector<Prediction> told;  // empty: nothing was put there
    };
    struct Shard {
        std::mutex mutex;
        std::vector<Entry> entries;  // empty until the first `put`
    };

    std::array<Shard, kShards> shards_;
};

/// What routers remember from request to request and over reloads: which model answered a conversation last, and how
/// budgets stand. In memory only. Thread-safe.
class RouterMemory {
public:
    /// Who answered a conversation, and how many tokens its provider has of it by then.
    struct Answered {
        std::string model;
        std::int64_t tokens = 0;  ///< prompt and answer; 0: nobody told
    };

    [[nodiscard]] std::optional<Answered> find(const Hash128& conversation);
    /// About 130,000 conversations are kept; of four that fall together, the least recently used goes.
    void put(const Hash128& conversation, Answered answered);

    /// The pacer of a route, which stays the same as long as `terms` (the policy and the budget) do; else `make` makes it.
    [[nodiscard]] std::shared_ptr<SharedPacer> pacer(const std::string& route,
                                                     const std::string& terms,
                                                     const std::function<cascade::Pacer()>& make);

private:
    static constexpr std::size_t kShards = 64;
    static constexpr std::size_t kSets = 512;  // of each shard
    static constexpr std::size_t kWays = 4;  // of each set

    struct Entry {
        Hash128 conversation;
        Answered answered;
        std::uint64_t used = 0;  ///< when, as the shard counts; 0: never
    };
    struct Shard {
        std::mutex mutex;
        std::vector<Entry> entries;  // empty until the first `put`
        std::uint64_t clock = 0;
    };
    struct Paced {
        std::string terms;
        std::shared_ptr<SharedPacer> pacer;
    };

    std::array<Shard, kShards> shards_;
    std::mutex mutex_;
    std::map<std::string, Paced> pacers_;  // guarded by mutex_
};

}  // namespace leeway::router
