#pragma once

#include "base/clock.hpp"
#include "sim/faults.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::sim {

/// splitmix64 (Steele, Lea & Flood 2014): small, and any seed will do.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() noexcept;
    /// 0 … n − 1; 0 for n = 0.
    std::uint64_t below(std::uint64_t n) noexcept { return n == 0 ? 0 : next() % n; }
    /// `low` … `high`.
    std::int64_t between(std::int64_t low, std::int64_t high) noexcept;
    bool chance(double p) noexcept;
    Duration between(Duration low, Duration high) noexcept;

private:
    std::uint64_t state_;
};

/// What happens, in virtual time, in one thread: the clock, all events that are still to come, all chance.
/// Everything of a run is decided by its seed. There is one at a time: `World::get`.
class World {
public:
    explicit World(std::uint64_t seed);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    static World& get();

    [[nodiscard]] TimePoint now() const noexcept { return now_; }
    [[nodiscard]] std::int64_t unix_us() const noexcept;
    /// The wall clock jumps; the monotonic one does not.
    void jump(std::int64_t us) noexcept { wall_us_ += us; }

    /// Runs `work` after `delay`. Works of one moment run in an order that the seed decides.
    void after(Duration delay, std::function<void()> work);
    /// Runs the next event. False: there is none.
    bool step();

    /// True when this fault strikes here and now. Each run has some of the faults switched off, and the others
    /// strike with a probability of its own ("swarm testing", Groce et al. 2012).
    bool strikes(Fault fault);
    [[nodiscard]] const std::array<std::uint32_t, kFaults>& hits() const noexcept { return hits_; }
    /// From now on nothing fails any more, so that all can come to an end.
    void calm() noexcept { calm_ = true; }

    /// For the run's story (`--trace`) and its digest, which tells whether two runs were the same.
    void tell(std::string_view what);
    [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }
    bool trace = false;

    /// An invariant is broken. The run goes on, so that all of them are told.
    void violated(std::string what);
    [[nodiscard]] const std::vector<std::string>& violations() const noexcept {
        return violations_;
    }

    Random random;  ///< of the world outside
    Random product;  ///< what the gateway draws

private:
    struct Event {
        TimePoint when;
        std::uint64_t order;
        std::shared_ptr<std::function<void()>> work;
        bool operator>(const Event& other) const noexcept {
            return when != other.when ? when > other.when : order > other.order;
        }
    };
    TimePoint now_;
    std::int64_t wall_us_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
    std::array<double, kFaults> probability_{};
    std::array<std::uint32_t, kFaults> hits_{};
    bool calm_ = false;
    std::uint64_t digest_ = 0;
    std::vector<std::string> violations_;
};

}  // namespace leeway::sim
