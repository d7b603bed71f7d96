#pragma once

#include "base/clock.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leeway::providers {

/// When a target is no longer asked. Immutable.
struct BreakerSpec {
    std::uint32_t failures = 10;     ///< in a row; 0: it is always asked
    std::uint32_t error_bp = 5'000;  ///< share of failures in the window, in 0.01 %
    std::chrono::milliseconds window{10'000};
    std::chrono::milliseconds open{10'000};  ///< until one request may try whether it is well again
    /// An answer whose first byte took longer counts as a failure; 0: none does.
    std::chrono::milliseconds slow{0};
    std::uint32_t parallel = 0;  ///< calls at a time; 0: as many as come

    friend bool operator==(const BreakerSpec&, const BreakerSpec&) = default;
};

/// Who may ask one target now. The circuit breaker (Nygard, Release It!, 2007): closed it lets all through; it opens
/// after `failures` in a row, or when `error_bp` of at least 20 calls in the window failed; after `open` it lets exactly
/// one through, whose outcome closes it or opens it again. Besides, it lets none through while the provider wants to be
/// left alone, and no more than `parallel` at a time. Shared by all workers; lock-free. Reads no clock.
class Breaker {
public:
    enum class State : std::uint8_t { kClosed, kHalfOpen, kOpen };
    /// Why it lets none through.
    enum class Bar : std::uint8_t { kNone, kUnwell, kHeld, kFull };

    explicit Breaker(const BreakerSpec& spec) noexcept : spec_(spec) {}
    Breaker(const Breaker&) = delete;
    Breaker& operator=(const Breaker&) = delete;

    /// Leave for one call, which tells how it went, once. A probe that tells nothing (its client left) makes room for
    /// another. It is under way for as long as this lives. Must not outlive the breaker.
    class Pass {
    public:
        Pass(Pass&& other) noexcept
            : breaker_(std::exchange(other.breaker_, nullptr)),
              running_(std::exchange(other.running_, nullptr)),
              probe_of_(other.probe_of_) {}
        Pass& operator=(Pass&&) = delete;
        ~Pass();
        /// An answer began, `took` after it was asked for; one that is slow by the rule tells of trouble.
        void answered(Duration took, TimePoint now) noexcept;
        void succeeded(TimePoint now) noexcept { tell(true, now); }
        void failed(TimePoint now) noexcept { tell(false, now); }

    private:
        friend class Breaker;
        Pass(Breaker& breaker, std::int64_t probe_of) noexcept
            : breaker_(&breaker), running_(&breaker.running_), probe_of_(probe_of) {}
        void tell(bool ok, TimePoint now) noexcept;
        Breaker* breaker_;  // null: has told
        std::atomic<std::uint32_t>* running_;  // counts it; null: moved from
        std::int64_t probe_of_;  // the state that the probe found; 0: no probe
    };
    /// nullopt: the target is not to be asked now; `bar` (may be null) gets the reason.
    [[nodiscard]] std::optional<Pass> admit(TimePoint now, Bar* bar = nullptr) noexcept;
    /// Nobody asks before `until`: the provider said so. The latest counts.
    void hold(TimePoint until) noexcept;

    /// How long it took to the first byte of an answer, or at least took.
    void note_first_byte(Duration took) noexcept;
    /// Of twenty answers about nineteen have begun by then, of late; nullopt: too few are known.
    [[nodiscard]] std::optional<Duration> first_byte_p95() const noexcept;
    [[nodiscard]] State state() const noexcept;
    /// Until it may let one through; zero when it may, or nobody knows.
    [[nodiscard]] Duration wait(TimePoint now) const noexcept;
    [[nodiscard]] std::uint64_t opened() const noexcept {
        return opened_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] const BreakerSpec& spec() const noexcept { return spec_; }

private:
    static constexpr std::size_t kSlots = 10;
    static constexpr std::int64_t kClosed = 0;
    static constexpr std::int64_t kProbing = -1;

    void open(std::int64_t from, TimePoint now) noexcept;
    void count(bool ok, TimePoint now) noexcept;
    [[nodiscard]] bool too_many(TimePoint now) const noexcept;
    [[nodiscard]] std::uint32_t slot_number(TimePoint now) const noexcept;

    const BreakerSpec spec_;
    std::atomic<std::uint32_t> running_{0};
    std::atomic<std::int64_t> held_until_{0};  // in ns
    std::atomic<double> p95_log_{0};  // natural logarithm of ns
    std::atomic<std::uint32_t> first_bytes_{0};  // that it rests on
    std::atomic<std::int64_t> state_{kClosed};  // else the time when a probe may go, in ns
    std::atomic<std::uint32_t> in_a_row_{0};
    std::atomic<std::uint64_t> opened_{0};
    // Of a tenth of the window each: its number (32 bits), failures (16), calls (16).
    std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

/// The breakers of a process, by what they are of, so that a reload forgets none. Thread-safe.
class BreakerBook {
public:
    /// The one that there is, unless its rule changed.
    /// `model` is our name, `upstream` the provider's: a model may run in several places.
    [[nodiscard]] std::shared_ptr<Breaker> get(const std::string& provider,
                                               const std::string& model,
                                               const std::string& upstream,
                                               const BreakerSpec& spec);
    struct Standing {
        std::string provider;
        std::string model;
        std::string upstream;
        Breaker::State state = Breaker::State::kClosed;
        std::uint64_t opened = 0;  ///< times
    };
    /// Of those in use.
    [[nodiscard]] std::vector<Standing> standings() const;

private:
    mutable std::mutex mutex_;
    std::map<std::array<std::string, 3>, std::weak_ptr<Breaker>> breakers_;
};

}  // namespace leeway::providers
