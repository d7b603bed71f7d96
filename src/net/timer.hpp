#pragma once

#include "base/clock.hpp"

#include <array>
#include <cstddef>

namespace leeway::net {

class TimerWheel;

/// One entry of a loop's timer wheel. Loop-local; must be destroyed on the loop's thread.
/// Granularity is 8 ms: for deadlines, not for pacing.
class Timer {
public:
    using Callback = void (*)(void* context);

    Timer(TimerWheel& wheel, Callback callback, void* context) noexcept
        : wheel_(wheel), callback_(callback), context_(context) {}
    ~Timer() { cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Fires once, not before `when`; replaces an earlier arming. O(1), no system call as a rule.
    void arm(TimePoint when) noexcept;
    void cancel() noexcept;
    [[nodiscard]] bool armed() const noexcept { return next_ != nullptr; }

private:
    friend class TimerWheel;
    TimerWheel& wheel_;
    Callback callback_;
    void* context_;
    TimePoint when_{};
    Timer** list_ = nullptr;  // head of the circular list that it is in
    Timer* next_ = nullptr;  // null: not armed
    Timer* previous_ = nullptr;
};

/// A hashed timing wheel (Varghese & Lauck 1987, scheme 6): arming and cancelling are O(1), which
/// lets every request re-arm its deadline for each phase without touching the kernel's timers.
class TimerWheel {
public:
    /// `wake` asks the owner to call `advance` at (or soon after) the given time; it is called only
    /// when the planned time moves forward.
    using Wake = void (*)(void* context, TimePoint when);

    TimerWheel(Wake wake, void* context, TimePoint now) noexcept;
    ~TimerWheel() = default;
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Fires all that is due at `now` and plans the next wake-up.
    void advance(TimePoint now) noexcept;

private:
    friend class Timer;
    static constexpr std::size_t kSlots = 1024;
    static constexpr Duration kTick = std::chrono::milliseconds(8);

    static void link(Timer& timer, Timer*& list) noexcept;
    static void unlink(Timer& timer) noexcept;
    [[nodiscard]] std::size_t slot_of(TimePoint when) const noexcept;
    void collect_due(Timer*& list) noexcept;
    void insert(Timer& timer) noexcept;
    void remove(Timer& timer) noexcept;
    void plan(TimePoint when) noexcept;

    Wake wake_;
    void* context_;
    TimePoint start_;
    TimePoint current_;  // everything due before this has fired
    TimePoint planned_ = TimePoint::max();
    std::size_t count_ = 0;
    Timer* due_ = nullptr;  // what the present `advance` still has to fire
    std::array<Timer*, kSlots> slots_{};
};

}  // namespace leeway::net
