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

    friend bool operator==(const BreakerSpec&, const BreakerSpec&) = default;
};

/// The circuit breaker of one target (Nygard, Release It!, 2007): closed it lets all through; it opens after
/// `failures` in a row, or when `error_bp` of at least 20 calls in the window failed; after `open` it lets exactly
/// one through, whose outcome closes it or opens it again. Shared by all workers; lock-free. Reads no clock.
class Breaker {
public:
    enum class State : std::uint8_t { kClosed, kHalfOpen, kOpen };

    explicit Breaker(const BreakerSpec& spec) noexcept : spec_(spec) {}
    Breaker(const Breaker&) = delete;
    Breaker& operator=(const Breaker&) = delete;

    /// Leave for one call, which tells how it went, once. A probe that tells nothing (its client left) makes room for
    /// another. Must not outlive the breaker.
    class Pass {
    public:
        Pass(Pass&& other) noexcept
            : breaker_(std::exchange(other.breaker_, nullptr)), probe_of_(other.probe_of_) {}
        Pass& operator=(Pass&&) = delete;
        ~Pass();
        void succeeded(TimePoint now) noexcept { tell(true, now); }
        void failed(TimePoint now) noexcept { tell(false, now); }

    private:
        friend class Breaker;
        Pass(Breaker& breaker, std::int64_t probe_of) noexcept
            : breaker_(&breaker), probe_of_(probe_of) {}
        void tell(bool ok, TimePoint now) noexcept;
        Breaker* breaker_;  // null: has told
        std::int64_t probe_of_;  // the state that the probe found; 0: no probe
    };
    /// nullopt: the target is not to be asked now.
    [[nodiscard]] std::optional<Pass> admit(TimePoint now) noexcept;

    [[nodiscard]] State state() const noexcept;
    /// Until the next probe; zero when there may be one, or none is needed.
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
    std::atomic<std::int64_t> state_{kClosed};  // else the time when a probe may go, in ns
    std::atomic<std::uint32_t> in_a_row_{0};
    std::atomic<std::uint64_t> opened_{0};
    // Of a tenth of the window each: its number (32 bits), failures (16), calls (16).
    std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

/// The breakers of a process, by what they are of, so that a reload forgets none. Thread-safe.
class BreakerBook {
public:
    /// The one that there is, unless its rule changed. Null: `spec` switches it off.
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
