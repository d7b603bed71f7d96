#include "methods/agent_cache/single_flight.hpp"

#include <array>
#include <atomic>
#include <list>
#include <mutex>
#include <unordered_map>

namespace leeway::agent_cache {

struct SingleFlight::Waiting {
    explicit Waiting(Executor& executor) : outcome(executor), sender(outcome.sender()) {}
    PostedValue<Outcome> outcome;              // the follower's thread only
    const PostedValue<Outcome>::Sender sender; // whoever took it out of the flight
    std::list<std::shared_ptr<Waiting>>::iterator place;  // under the shard's mutex
    bool queued = true;                                   // the same
};

struct SingleFlight::Flight {
    explicit Flight(const Sha256& of) : key(of) {}
    const Sha256 key;
    std::list<std::shared_ptr<Waiting>> queue;  // under the shard's mutex
};

struct SingleFlight::Core {
    static constexpr std::size_t kShards = 16;
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<Sha256, std::shared_ptr<Flight>, Sha256Hasher> flights;
    };

    explicit Core(std::size_t most) : max_followers(most) {}
    // The last byte: the maps' buckets go by the first eight.
    Shard& shard(const Sha256& key) { return shards[key.back() % kShards]; }

    const std::size_t max_followers;
    std::atomic<bool> closed{false};  // executors may be gone: wake nobody any more
    std::array<Shard, kShards> shards;
};

SingleFlight::SingleFlight(std::size_t max_followers)
    : core_(std::make_shared<Core>(max_followers)) {}
SingleFlight::~SingleFlight() { core_->closed = true; }

SingleFlight::Ticket SingleFlight::join(const Sha256& key, Executor& executor) {
    Ticket ticket;
    Core::Shard& shard = core_->shard(key);
    const std::scoped_lock lock(shard.mutex);
    std::shared_ptr<Flight>& flight = shard.flights[key];
    if (!flight) {
        flight = std::make_shared<Flight>(key);
        ticket.role = Role::kLeader;
        ticket.lease = Lease(core_, flight);
    } else if (flight->queue.size() < core_->max_followers) {
        auto waiting = std::make_shared<Waiting>(executor);
        waiting->place = flight->queue.insert(flight->queue.end(), waiting);
        ticket.role = Role::kFollower;
        ticket.follower.core_ = core_;
        ticket.follower.flight_ = flight;
        ticket.follower.waiting_ = std::move(waiting);
    }
    return ticket;
}

SingleFlight::Stats SingleFlight::stats() const {
    Stats stats;
    for (const Core::Shard& shard : core_->shards) {
        const std::scoped_lock lock(shard.mutex);
        stats.flights += shard.flights.size();
        for (const auto& [key, flight] : shard.flights) stats.followers += flight->queue.size();
    }
    return stats;
}

// ---------------------------------------------------------------- Lease

SingleFlight::Lease& SingleFlight::Lease::operator=(Lease&& other) noexcept {
    if (this == &other) return *this;
    hand_over();
    core_ = std::move(other.core_);
    flight_ = std::move(other.flight_);
    return *this;
}

SingleFlight::Lease::~Lease() { hand_over(); }

void SingleFlight::Lease::finish(const AnswerPtr& answer) {
    if (!flight_ || core_->closed) return;
    std::list<std::shared_ptr<Waiting>> followers;
    {
        Core::Shard& shard = core_->shard(flight_->key);
        const std::scoped_lock lock(shard.mutex);
        shard.flights.erase(flight_->key);
        followers.swap(flight_->queue);
        for (const auto& waiting : followers) waiting->queued = false;
    }
    flight_.reset();
    core_.reset();
    for (const auto& waiting : followers) {
        Outcome outcome;
        outcome.ending = answer ? Ending::kAnswer : Ending::kAlone;
        outcome.answer = answer;
        waiting->sender.send(std::move(outcome));
    }
}

void SingleFlight::Lease::hand_over() noexcept {
    if (!flight_) return;
    const std::shared_ptr<Core> core = std::move(core_);
    std::shared_ptr<Flight> flight = std::move(flight_);
    std::shared_ptr<Waiting> next;
    if (core->closed) return;
    {
        Core::Shard& shard = core->shard(flight->key);
        const std::scoped_lock lock(shard.mutex);
        if (flight->queue.empty()) {
            shard.flights.erase(flight->key);
            return;
        }
        next = std::move(flight->queue.front());
        flight->queue.pop_front();
        next->queued = false;
    }
    Outcome outcome;
    outcome.ending = Ending::kLead;
    outcome.lease = Lease(core, std::move(flight));
    // Should the follower be gone by then, the outcome is dropped, and its lease goes one further.
    next->sender.send(std::move(outcome));
}

// ---------------------------------------------------------------- Follower

SingleFlight::Follower::Follower(Follower&& other) noexcept = default;

SingleFlight::Follower& SingleFlight::Follower::operator=(Follower&& other) noexcept {
    if (this == &other) return *this;
    leave();
    core_ = std::move(other.core_);
    flight_ = std::move(other.flight_);
    waiting_ = std::move(other.waiting_);
    return *this;
}

SingleFlight::Follower::~Follower() { leave(); }

PostedValue<SingleFlight::Outcome>::Awaiter SingleFlight::Follower::wait() noexcept {
    return waiting_->outcome.receive();
}

void SingleFlight::Follower::interrupt() {
    if (!waiting_) return;
    Outcome outcome;
    outcome.ending = Ending::kInterrupted;
    waiting_->outcome.interrupt(std::move(outcome));
}

void SingleFlight::Follower::leave() noexcept {
    if (!waiting_) return;
    {
        const std::scoped_lock lock(core_->shard(flight_->key).mutex);
        if (waiting_->queued) {
            waiting_->queued = false;
            flight_->queue.erase(waiting_->place);
        }
    }
    // A lease that came but was not taken goes on to the next; without the lock held.
    waiting_->outcome.close();
    waiting_.reset();
    flight_.reset();
    core_.reset();
}

}  // namespace leeway::agent_cache
