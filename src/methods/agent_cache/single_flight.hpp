#pragma once

#include "base/executor.hpp"
#include "base/hash.hpp"
#include "base/posted_value.hpp"
#include "methods/agent_cache/cached_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace leeway::agent_cache {

/// Lets concurrent equal requests wait for one of them, the leader, across threads. Thread-safe.
/// Its leases and followers stay valid when it goes away first, but wake nobody any more: destroy
/// it before the executors.
///
///     SingleFlight::Ticket ticket = flights.join(key, executor);
///     if (ticket.role == SingleFlight::Role::kFollower) {
///         SingleFlight::Outcome outcome = co_await ticket.follower.wait();
///         …  // an answer, or the lease of its own, or neither
///     }
///
/// A new leader should look into the store once more before it asks upstream: the last leader may
/// have put its answer between this request's look and its `join`. A leader puts first, then calls
/// `finish`.
class SingleFlight {
    struct Core;
    struct Flight;
    struct Waiting;

public:
    /// The duty to answer one key. `finish` ends it. Dropping a lease that was not finished (the
    /// leader's client hung up) makes the oldest follower the leader.
    class Lease {
    public:
        Lease() noexcept = default;
        Lease(Lease&& other) noexcept = default;
        Lease& operator=(Lease&& other) noexcept;
        ~Lease();
        /// False: empty, or finished.
        [[nodiscard]] explicit operator bool() const noexcept { return flight_ != nullptr; }
        /// Gives `answer` to all followers. Null: there is none to share (an error, not cacheable);
        /// they go on alone, all at once. Any thread; does nothing on an empty lease.
        void finish(const AnswerPtr& answer);
        /// What dropping the lease does.
        void hand_over() noexcept;

    private:
        friend class SingleFlight;
        Lease(std::shared_ptr<Core> core, std::shared_ptr<Flight> flight) noexcept
            : core_(std::move(core)), flight_(std::move(flight)) {}
        std::shared_ptr<Core> core_;
        std::shared_ptr<Flight> flight_;
    };

    enum class Ending : std::uint8_t {
        kAnswer = 0,  ///< `answer` is set
        kLead = 1,  ///< the leader gave up: this one leads now, `lease` is set
        kAlone = 2,  ///< the leader has nothing to share: go on without the flight
        kInterrupted = 3,  ///< `interrupt` was called
    };
    struct Outcome {
        Ending ending = Ending::kAlone;
        AnswerPtr answer;
        Lease lease;
    };

    /// A place in the queue. Lives on its executor's thread (calls, destruction); may be destroyed
    /// at any time, also while its coroutine waits: then nothing is resumed any more.
    class Follower {
    public:
        Follower() noexcept = default;
        Follower(Follower&& other) noexcept;
        Follower& operator=(Follower&& other) noexcept;
        ~Follower();
        /// `co_await follower.wait()`, once: an `Outcome`. Resumes by a posted job.
        [[nodiscard]] PostedValue<Outcome>::Awaiter wait() noexcept;
        /// Makes `wait` yield kInterrupted soon, unless its outcome is there already. For timeouts
        /// and clients that hang up.
        void interrupt();

    private:
        friend class SingleFlight;
        void leave() noexcept;
        std::shared_ptr<Core> core_;
        std::shared_ptr<Flight> flight_;
        std::shared_ptr<Waiting> waiting_;
    };

    enum class Role : std::uint8_t {
        kLeader = 0,  ///< `lease` is set: answer the request, then finish it
        kFollower = 1,  ///< `follower` is set: wait
        kAlone = 2,  ///< too many wait already: answer the request without telling anybody
    };
    struct Ticket {
        Role role = Role::kAlone;
        Lease lease;
        Follower follower;
    };

    /// `max_followers` per key.
    explicit SingleFlight(std::size_t max_followers = 1000);
    SingleFlight(const SingleFlight&) = delete;
    SingleFlight& operator=(const SingleFlight&) = delete;
    ~SingleFlight();

    /// `executor` runs the calling thread's work and outlives the ticket.
    [[nodiscard]] Ticket join(const Sha256& key, Executor& executor);

    /// Keys that are being answered now, and how many requests wait for them.
    struct Stats {
        std::size_t flights = 0;
        std::size_t followers = 0;
    };
    [[nodiscard]] Stats stats() const;

private:
    std::shared_ptr<Core> core_;
};

}  // namespace leeway::agent_cache
