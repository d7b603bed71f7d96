#pragma once

#include "base/executor.hpp"
#include "base/hash.hpp"
#include "methods/agent_cache/memory_cache.hpp"
#include "methods/agent_cache/single_flight.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace leeway::app {

/// Whole answers for callers that ask again with the same idempotency key, and who waits for one that is being made.
/// In memory only: a start forgets them. Bounded in bytes, the least recently used go first. Thread-safe; leases and
/// tickets must not outlive it.
class ReplayStore {
public:
    /// What was asked with which key.
    struct Question {
        Sha256 key{};  ///< of its owner and the idempotency key
        Hash128 body{};  ///< of all that decides about the answer, in this process
    };
    /// An answer as its caller got it.
    struct Answer {
        std::vector<std::pair<std::string, std::string>> fields;
        std::string model;  ///< our name of the one that answered
        std::string id;  ///< of the request that it answered
        std::string body;
        bool streamed = false;
    };

    /// The duty to answer a question. Dropped, it goes on to who waits longest.
    class Lease {
    public:
        Lease() noexcept = default;
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&& other) noexcept;
        ~Lease() { drop(); }
        [[nodiscard]] explicit operator bool() const noexcept { return store_ != nullptr; }
        /// Keeps `answer` until `expires_unix_ms` and gives it to all that wait.
        void keep(const Answer& answer, std::int64_t now_unix_ms, std::int64_t expires_unix_ms);
        void drop() noexcept;

    private:
        friend class ReplayStore;
        Lease(ReplayStore& store, const Question& question,
              agent_cache::SingleFlight::Lease flight);
        ReplayStore* store_ = nullptr;
        Question question_;
        agent_cache::SingleFlight::Lease flight_;
    };

    enum class Kind : std::uint8_t {
        kAnswer,  ///< `answer` is set
        kLead,  ///< nobody has asked it: `lease` is set
        kFollow,  ///< it is being answered: wait for `follower`, then `after`
        kOther,  ///< the key was used for another question
        kCrowded,  ///< too many wait for it already
    };
    struct Found {
        Kind kind = Kind::kLead;
        Answer answer;
        Lease lease;
        agent_cache::SingleFlight::Follower follower;
    };

    ReplayStore(std::uint64_t memory_bytes, std::uint64_t entry_bytes)
        : entry_bytes_(entry_bytes), answers_(memory_bytes, entry_bytes) {}

    [[nodiscard]] Found look_up(const Question& question, std::int64_t now_unix_ms,
                                Executor& executor);
    /// What came of the wait for a follower: kAnswer, kLead, kOther, or kCrowded for one that was interrupted.
    [[nodiscard]] Found after(const Question& question, std::int64_t now_unix_ms,
                              agent_cache::SingleFlight::Outcome outcome);

    [[nodiscard]] std::uint64_t entry_bytes() const noexcept { return entry_bytes_; }
    struct Stats {
        std::uint64_t entries = 0;
        std::uint64_t bytes = 0;
        std::uint64_t replayed = 0;
        std::uint64_t refused = 0;  ///< for another question with the same key
    };
    [[nodiscard]] Stats stats() const;

private:
    Found find_kept(const Question& question, std::int64_t now_unix_ms);
    Found unpack(const Question& question, const agent_cache::CachedAnswer& kept);

    const std::uint64_t entry_bytes_;
    agent_cache::MemoryCache answers_;
    agent_cache::SingleFlight flights_;
    mutable std::mutex mutex_;
    std::unordered_map<Sha256, Hash128, Sha256Hasher> asked_;  // being answered; under the mutex
    std::atomic<std::uint64_t> replayed_{0};
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace leeway::app
