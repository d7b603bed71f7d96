#pragma once

#include "base/clock.hpp"
#include "base/posted_value.hpp"
#include "base/result.hpp"
#include "models/embed/vector_memo.hpp"
#include "models/embedding.hpp"
#include "telemetry/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace leeway::models {

/// What the embedder of a process has done since its start, and what is there now.
struct EmbedStats {
    std::uint64_t texts = 0;  ///< asked for
    std::uint64_t memo_hits = 0;
    std::uint64_t joined = 0;  ///< the same text was under way already
    std::uint64_t refused = 0;  ///< too many waited
    std::uint64_t late = 0;  ///< whoever waited got none in time
    std::uint64_t failed = 0;  ///< whoever waited got an error
    std::uint64_t batches = 0;
    std::uint64_t batched_texts = 0;
    std::uint64_t failed_batches = 0;
    std::uint64_t model_changes = 0;  ///< times that the memo was dropped for another fingerprint
    std::uint64_t memo_bytes = 0;
    std::uint64_t memo_entries = 0;
    std::uint64_t waiting = 0;  ///< texts that no batch has yet
    telemetry::Histogram waits;  ///< of those who got a vector that was not in the memo
};

/// The texts that wait for their vectors, who waits for each, and the memo. Thread-safe.
class EmbedQueue {
public:
    struct Limits {
        std::uint64_t memo_bytes = 0;
        std::size_t texts = 1024;  ///< that wait; more are refused
        std::uint64_t bytes = std::uint64_t{16} << 20U;  ///< of their text, likewise
    };
    using Sender = PostedValue<Result<Embedded>>::Sender;
    struct Waiter {
        Sender sender;
        TimePoint since;
        TimePoint until;  ///< too late from then on
    };
    enum class Entered : std::uint8_t { kQueued, kJoined, kKnown, kFull };
    /// A text for a batch.
    struct Taken {
        Hash128 key;
        std::string text;
    };

    explicit EmbedQueue(const Limits& limits) : memo_(limits.memo_bytes), limits_(limits) {}

    /// From the memo; counts the text.
    [[nodiscard]] std::optional<Embedded> find(const Hash128& key);
    /// Lets `waiter` wait for the text. kKnown: it came meanwhile, and was sent. kFull: nobody waits.
    [[nodiscard]] Entered enter(const Hash128& key, std::string text, Waiter waiter);
    /// The next texts, at most `most`, the oldest first. They must be finished, or failed.
    [[nodiscard]] std::vector<Taken> take(std::size_t most);
    /// What a batch came to: a vector for each text, which goes to who waits and into the memo. A `model` with another
    /// fingerprint than the one before drops the memo. `generation`: that of the time when the batch was taken.
    void finish(const std::vector<Taken>& texts, std::vector<VectorMemo::Vector> vectors,
                const std::shared_ptr<const EmbeddingModel>& model, std::uint64_t generation);
    /// Or an error for all who wait.
    void fail_all(const std::vector<Taken>& texts, const Error& error);
    /// Sends kUpstreamTimeout to those who waited too long, and drops the texts that nobody waits for any more and no
    /// batch has. False: there is nothing left to look after.
    bool expire(TimePoint now);
    /// Sends `error` to all, waiting and under way: the end.
    void close(const Error& error);

    /// Another model is in use from now on: what was computed before is dropped, and what is under way is not kept.
    void forget();
    void limit_memo(std::uint64_t bytes);
    [[nodiscard]] std::uint64_t generation() const;
    /// The model of the last vectors; null: there were none yet.
    [[nodiscard]] std::shared_ptr<const EmbeddingModel> model() const;
    [[nodiscard]] EmbedStats stats() const;
    void count_batch(std::size_t texts, bool ok);
    /// Who came with no time left.
    void count_late();

private:
    struct Job {
        std::string text;  // empty: it is in a batch
        std::vector<Waiter> waiters;
    };

    mutable std::mutex mutex_;
    VectorMemo memo_;
    std::unordered_map<Hash128, Job, Hash128Hasher> jobs_;
    std::deque<Hash128> order_;  // of those that no batch has
    std::uint64_t bytes_ = 0;  // of their text
    std::shared_ptr<const EmbeddingModel> model_;
    std::uint64_t generation_ = 0;
    const Limits limits_;
    EmbedStats stats_;
    bool closed_ = false;
};

}  // namespace leeway::models
