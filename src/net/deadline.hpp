#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "net/event_loop.hpp"
#include "net/timer.hpp"

#include <chrono>
#include <cstdint>

namespace leeway::net {

/// Limits of one call to an upstream. Zero is not allowed.
struct Timeouts {
    std::chrono::milliseconds connect{5'000};
    std::chrono::milliseconds first_byte{120'000};
    std::chrono::milliseconds between_chunks{60'000};
    std::chrono::milliseconds total{600'000};
};

/// The one deadline of a request, and the one way to stop it. Loop-local. It limits each phase and
/// the whole; whoever waits registers how to be interrupted. A phase's limit counts only while
/// somebody waits: the time in which a client does not read is not the upstream's. After the first interruption every
/// later wait fails at once with the same reason.
class Deadline {
public:
    enum class Phase : std::uint8_t { kIdle, kConnect, kFirstByte, kChunks };
    enum class Reason : std::uint8_t {
        kNone,
        kConnect,
        kFirstByte,
        kChunks,
        kTotal,
        kClientGone,
        kShutdown
    };
    using Interrupt = void (*)(void* context);

    Deadline(EventLoop& loop, const Timeouts& timeouts) noexcept;
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    /// Other limits from now on (e.g. those of the provider that was chosen); the total keeps
    /// counting from the start.
    void set_timeouts(const Timeouts& timeouts) noexcept;
    /// Starts a phase's limit anew.
    void enter(Phase phase) noexcept;
    /// A chunk came: the limit between chunks starts anew. Cheap: a clock read.
    void touch() noexcept { phase_start_ = monotonic_now(); }

    /// Stops the request now, for `reason`; the first reason stays.
    void interrupt(Reason reason) noexcept;
    /// A phase's limit has passed and the request goes on with another attempt: takes that interruption back. False:
    /// the request is over (its total has passed, its client is gone, we shut down) and stays interrupted.
    [[nodiscard]] bool resume() noexcept;
    /// Whether the client left, and the request was let go on without it.
    [[nodiscard]] bool client_left() const noexcept { return left_; }
    [[nodiscard]] Reason reason() const noexcept { return reason_; }
    [[nodiscard]] bool interrupted() const noexcept { return reason_ != Reason::kNone; }
    /// The interruption as an error (kUpstreamTimeout, kClientGone or kUnavailable).
    [[nodiscard]] Error error() const;
    [[nodiscard]] Duration elapsed() const noexcept { return monotonic_now() - start_; }
    /// What is left of the total, zero when passed.
    [[nodiscard]] Duration remaining() const noexcept;

    /// For its life, a client that leaves does not stop the request at once: `grace` is asked, once, how long it goes
    /// on without the client; zero: not at all. When that has passed, or at the end of this, it is stopped.
    class Stay {
    public:
        using Grace = Duration (*)(void* context);
        Stay(Deadline& deadline, Grace grace, void* context) noexcept : deadline_(deadline) {
            deadline.grace_ = grace;
            deadline.grace_context_ = context;
        }
        ~Stay() {
            deadline_.grace_ = nullptr;
            if (deadline_.left_) deadline_.stop(Reason::kClientGone);
        }
        Stay(const Stay&) = delete;
        Stay& operator=(const Stay&) = delete;

    private:
        Deadline& deadline_;
    };

    /// Registers how to stop the present wait for the life of the guard.
    class Guard {
    public:
        Guard(Deadline& deadline, Interrupt interrupt, void* context) noexcept
            : deadline_(deadline), interrupt_(deadline.interrupt_), context_(deadline.context_) {
            deadline.interrupt_ = interrupt;
            deadline.context_ = context;
        }
        ~Guard() {
            deadline_.interrupt_ = interrupt_;
            deadline_.context_ = context_;
        }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

    private:
        Deadline& deadline_;
        Interrupt interrupt_;
        void* context_;
    };

private:
    static void fire(void* self);
    void stop(Reason reason) noexcept;
    void plan() noexcept;
    [[nodiscard]] TimePoint phase_end() const noexcept;

    Timer timer_;
    Timeouts timeouts_;
    TimePoint start_;
    TimePoint phase_start_;
    Phase phase_ = Phase::kIdle;
    Reason reason_ = Reason::kNone;
    Interrupt interrupt_ = nullptr;
    void* context_ = nullptr;
    Stay::Grace grace_ = nullptr;
    void* grace_context_ = nullptr;
    bool left_ = false;
    TimePoint stay_end_ = TimePoint::max();
};

}  // namespace leeway::net
