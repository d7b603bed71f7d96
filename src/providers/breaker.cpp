#include "providers/breaker.hpp"

#include <algorithm>
#include <cmath>

namespace leeway::providers {
namespace {

constexpr std::uint64_t kLeastCalls = 20;  // of which a share says something
constexpr std::uint64_t kMostCalls = 0xffff;

std::int64_t to_ns(TimePoint time) noexcept { return time.time_since_epoch().count(); }

}  // namespace

static_assert(std::is_same_v<Duration::period, std::nano>);

std::uint32_t Breaker::slot_number(TimePoint now) const noexcept {
    const auto slot_ns =
        std::max<std::int64_t>(Duration(spec_.window).count() / std::int64_t{kSlots}, 1);
    return static_cast<std::uint32_t>(to_ns(now) / slot_ns);
}

std::optional<Breaker::Pass> Breaker::admit(TimePoint now, Bar* bar) noexcept {
    const auto refuse = [bar](Bar why) -> std::optional<Pass> {
        if (bar != nullptr) *bar = why;
        return std::nullopt;
    };
    if (to_ns(now) < held_until_.load(std::memory_order_relaxed)) return refuse(Bar::kHeld);
    const std::uint32_t before = running_.fetch_add(1, std::memory_order_relaxed);
    if (spec_.parallel > 0 && before >= spec_.parallel) {
        running_.fetch_sub(1, std::memory_order_relaxed);
        return refuse(Bar::kFull);
    }
    std::int64_t state = state_.load(std::memory_order_acquire);
    if (state == kClosed) return Pass(*this, kClosed);
    // Of all that come at this moment one wins.
    const bool due = state != kProbing && to_ns(now) >= state;
    if (due && state_.compare_exchange_strong(state, kProbing, std::memory_order_acq_rel))
        return Pass(*this, state);
    running_.fetch_sub(1, std::memory_order_relaxed);
    return refuse(Bar::kUnwell);
}

void Breaker::hold(TimePoint until) noexcept {
    std::int64_t known = held_until_.load(std::memory_order_relaxed);
    while (known < to_ns(until) &&
           !held_until_.compare_exchange_weak(known, to_ns(until), std::memory_order_relaxed)) {
    }
}

Breaker::Pass::~Pass() {
    if (running_ != nullptr) running_->fetch_sub(1, std::memory_order_relaxed);
    if (breaker_ == nullptr || probe_of_ == kClosed) return;
    breaker_->state_.store(probe_of_, std::memory_order_release);
}

// A step up for each that is above, a nineteenth of it down for each that is not: it stays where one in twenty is above
// (Robbins, Monro, 1951). In logarithms, so that milliseconds and minutes are found alike. Of two at the same moment one
// may go uncounted.
void Breaker::note_first_byte(Duration took) noexcept {
    constexpr double kUp = 0.19;
    constexpr double kDown = kUp / 19;
    const double log_ns = std::log(static_cast<double>(std::max<std::int64_t>(took.count(), 1)));
    if (first_bytes_.fetch_add(1, std::memory_order_relaxed) == 0) {
        p95_log_.store(log_ns, std::memory_order_relaxed);
        return;
    }
    const double now = p95_log_.load(std::memory_order_relaxed);
    p95_log_.store(log_ns > now ? std::min(now + kUp, log_ns) : now - kDown,
                   std::memory_order_relaxed);
}

std::optional<Duration> Breaker::first_byte_p95() const noexcept {
    constexpr std::uint32_t kLeast = 20;
    if (first_bytes_.load(std::memory_order_relaxed) < kLeast) return std::nullopt;
    return Duration(static_cast<std::int64_t>(std::exp(p95_log_.load(std::memory_order_relaxed))));
}

void Breaker::Pass::answered(Duration took, TimePoint now) noexcept {
    if (breaker_ == nullptr) return;
    breaker_->note_first_byte(took);
    const Duration slow = breaker_->spec_.slow;
    tell(slow == Duration::zero() || took <= slow, now);
}

void Breaker::Pass::tell(bool ok, TimePoint now) noexcept {
    if (breaker_ == nullptr) return;
    Breaker& breaker = *std::exchange(breaker_, nullptr);
    if (breaker.spec_.failures == 0) return;
    if (probe_of_ != kClosed) {
        if (!ok) return breaker.open(kProbing, now);
        breaker.in_a_row_.store(0, std::memory_order_relaxed);
        for (auto& slot : breaker.slots_) slot.store(0, std::memory_order_relaxed);
        breaker.state_.store(kClosed, std::memory_order_release);
        return;
    }
    // Calls from before it opened say nothing new.
    if (breaker.state_.load(std::memory_order_acquire) != kClosed) return;
    breaker.count(ok, now);
    if (ok) {
        if (breaker.in_a_row_.load(std::memory_order_relaxed) != 0)
            breaker.in_a_row_.store(0, std::memory_order_relaxed);
        return;
    }
    const std::uint32_t in_a_row = breaker.in_a_row_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (in_a_row >= breaker.spec_.failures || breaker.too_many(now)) breaker.open(kClosed, now);
}

void Breaker::open(std::int64_t from, TimePoint now) noexcept {
    const std::int64_t until = to_ns(now + spec_.open);
    if (state_.compare_exchange_strong(from, until, std::memory_order_acq_rel))
        opened_.fetch_add(1, std::memory_order_relaxed);
}

void Breaker::count(bool ok, TimePoint now) noexcept {
    const std::uint32_t number = slot_number(now);
    auto& slot = slots_[number % kSlots];
    std::uint64_t old = slot.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        next = (old >> 32U) == number ? old : std::uint64_t{number} << 32U;
        if ((next & kMostCalls) == kMostCalls) return;  // full: the share is right as it is
        next += ok ? 1U : 0x1'0001U;
    } while (!slot.compare_exchange_weak(old, next, std::memory_order_relaxed));
}

bool Breaker::too_many(TimePoint now) const noexcept {
    const std::uint32_t number = slot_number(now);
    std::uint64_t calls = 0;
    std::uint64_t failures = 0;
    for (const auto& slot : slots_) {
        const std::uint64_t word = slot.load(std::memory_order_relaxed);
        if (number - static_cast<std::uint32_t>(word >> 32U) >= kSlots) continue;
        calls += word & kMostCalls;
        failures += (word >> 16U) & kMostCalls;
    }
    return calls >= kLeastCalls && failures * 10'000 >= calls * spec_.error_bp;
}

Breaker::State Breaker::state() const noexcept {
    const std::int64_t state = state_.load(std::memory_order_acquire);
    if (state == kClosed) return State::kClosed;
    return state == kProbing ? State::kHalfOpen : State::kOpen;
}

Duration Breaker::wait(TimePoint now) const noexcept {
    const std::int64_t until = std::max(state_.load(std::memory_order_acquire),
                                        held_until_.load(std::memory_order_relaxed));
    return Duration(std::max<std::int64_t>(until - to_ns(now), 0));
}

std::shared_ptr<Breaker> BreakerBook::get(const std::string& provider, const std::string& model,
                                          const std::string& upstream, const BreakerSpec& spec) {
    const std::lock_guard lock(mutex_);
    std::weak_ptr<Breaker>& place = breakers_[{provider, model, upstream}];
    std::shared_ptr<Breaker> found = place.lock();
    if (found && found->spec() == spec) return found;
    found = std::make_shared<Breaker>(spec);
    place = found;
    return found;
}

std::vector<BreakerBook::Standing> BreakerBook::standings() const {
    const std::lock_guard lock(mutex_);
    std::vector<Standing> out;
    for (const auto& [names, place] : breakers_) {
        const auto breaker = place.lock();
        if (!breaker) continue;
        out.push_back({names[0], names[1], names[2], breaker->state(), breaker->opened()});
    }
    return out;
}

}  // namespace leeway::providers
