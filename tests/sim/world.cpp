#include "sim/world.hpp"

#include "base/hash.hpp"
#include "base/random.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace leeway::sim {
namespace {

World* the_world = nullptr;
constexpr std::int64_t kBegin = 1'790'000'000'000'000;  // a day in 2026

}  // namespace

std::string_view name_of(Fault fault) {
    switch (fault) {
#define LEEWAY_SIM_TEXT(name) \
    case Fault::name: return #name;
        LEEWAY_SIM_FAULTS(LEEWAY_SIM_TEXT)
#undef LEEWAY_SIM_TEXT
    }
    return "?";
}

std::uint64_t Random::next() noexcept {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

std::int64_t Random::between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
}

bool Random::chance(double p) noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }

Duration Random::between(Duration low, Duration high) noexcept {
    return Duration(between(low.count(), high.count()));
}

World::World(std::uint64_t seed)
    : random(seed),
      product(seed ^ 0x5EED5EED5EED5EEDULL),
      now_(std::chrono::hours(1)),
      wall_us_(kBegin - to_us(now_.time_since_epoch())) {
    the_world = this;
    for (double& p : probability_) {
        // Most of the faults rest in a run; the others strike now and then, some of them often.
        if (random.chance(0.7)) continue;
        p = random.chance(0.35) ? 0.4 : 0.06;
    }
}

World::~World() { the_world = nullptr; }

World& World::get() {
    if (the_world == nullptr) std::abort();
    return *the_world;
}

std::int64_t World::unix_us() const noexcept { return wall_us_ + to_us(now_.time_since_epoch()); }

void World::after(Duration delay, std::function<void()> work) {
    events_.push(
        {now_ + delay, random.next(), std::make_shared<std::function<void()>>(std::move(work))});
}

bool World::step() {
    if (events_.empty()) return false;
    const Event next = events_.top();
    events_.pop();
    now_ = std::max(now_, next.when);
    (*next.work)();
    return true;
}

bool World::strikes(Fault fault) {
    const auto place = static_cast<std::size_t>(fault);
    if (calm_ || probability_[place] <= 0 || !random.chance(probability_[place])) return false;
    ++hits_[place];
    tell(name_of(fault));
    return true;
}

void World::tell(std::string_view what) {
    const auto at = static_cast<std::uint64_t>(to_us(now_.time_since_epoch()));
    for (const char c : what)
        digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    digest_ = (digest_ ^ at) * 0x100000001B3ULL;
    if (trace) {
        std::printf("%12.6f  %.*s\n", static_cast<double>(at) / 1e6 - 3600,
                    static_cast<int>(what.size()), what.data());
    }
}

void World::violated(std::string what) {
    tell("VIOLATED: " + what);
    if (violations_.size() < 20) violations_.push_back(std::move(what));
}

}  // namespace leeway::sim

// What the program asks of the system, answered by the world: linked instead of base/clock.cpp, base/random.cpp.

namespace leeway {

TimePoint monotonic_now() noexcept { return sim::World::get().now(); }
std::int64_t unix_now_us() noexcept { return sim::World::get().unix_us(); }

void secure_random(std::span<std::uint8_t> out) {
    for (std::uint8_t& byte : out)
        byte = static_cast<std::uint8_t>(sim::World::get().product.next());
}

std::uint64_t fast_random() noexcept { return sim::World::get().product.next(); }

}  // namespace leeway
