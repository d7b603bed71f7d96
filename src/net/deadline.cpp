#include "net/deadline.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::net {
namespace {

/// A configured limit may be so long that the sum would overflow.
TimePoint after(TimePoint start, std::chrono::milliseconds limit) noexcept {
    constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
    return start + std::min(limit, kLongest);
}

}  // namespace

Deadline::Deadline(EventLoop& loop, const Timeouts& timeouts) noexcept
    : timer_(loop.timers(), &Deadline::fire, this),
      timeouts_(timeouts),
      start_(monotonic_now()),
      phase_start_(start_) {
    plan();
}

void Deadline::set_timeouts(const Timeouts& timeouts) noexcept {
    timeouts_ = timeouts;
    plan();
}

void Deadline::enter(Phase phase) noexcept {
    phase_ = phase;
    phase_start_ = monotonic_now();
    plan();
}

TimePoint Deadline::phase_end() const noexcept {
    switch (phase_) {
        case Phase::kIdle: return TimePoint::max();
        case Phase::kConnect: return after(phase_start_, timeouts_.connect);
        case Phase::kFirstByte: return after(phase_start_, timeouts_.first_byte);
        case Phase::kChunks: return after(phase_start_, timeouts_.between_chunks);
    }
    return TimePoint::max();
}

void Deadline::plan() noexcept {
    if (interrupted()) return;
    timer_.arm(std::min({after(start_, timeouts_.total), phase_end(), stay_end_}));
}

void Deadline::fire(void* self) {
    auto& deadline = *static_cast<Deadline*>(self);
    const TimePoint now = monotonic_now();
    if (now >= after(deadline.start_, deadline.timeouts_.total)) {
        deadline.stop(Reason::kTotal);
    } else if (now >= deadline.stay_end_) {
        deadline.stop(Reason::kClientGone);
    } else if (now >= deadline.phase_end() && deadline.interrupt_ == nullptr) {
        // Nobody waits for the upstream (its client reads slowly): only the total counts.
        deadline.phase_start_ = now;
        deadline.plan();
    } else if (now >= deadline.phase_end()) {
        constexpr Reason kReasons[] = {Reason::kTotal, Reason::kConnect, Reason::kFirstByte,
                                       Reason::kChunks};
        deadline.stop(kReasons[static_cast<std::size_t>(deadline.phase_)]);
    } else {
        deadline.plan();  // `touch` moved the end
    }
}

void Deadline::interrupt(Reason reason) noexcept {
    if (interrupted()) return;
    if (reason == Reason::kClientGone && left_) return;  // known
    if (reason == Reason::kClientGone && grace_ != nullptr) {
        const Duration more = grace_(grace_context_);
        if (more > Duration::zero()) {
            left_ = true;
            stay_end_ = monotonic_now() + more;
            return plan();
        }
    }
    stop(reason);
}

void Deadline::stop(Reason reason) noexcept {
    if (interrupted()) return;
    reason_ = reason;
    timer_.cancel();
    if (interrupt_ != nullptr) interrupt_(context_);
}

bool Deadline::resume() noexcept {
    const bool of_phase =
        reason_ == Reason::kConnect || reason_ == Reason::kFirstByte || reason_ == Reason::kChunks;
    if (interrupted() && !of_phase) return false;
    reason_ = Reason::kNone;
    enter(Phase::kIdle);
    return remaining() > Duration::zero();
}

Duration Deadline::remaining() const noexcept {
    return std::max(Duration::zero(), after(start_, timeouts_.total) - monotonic_now());
}

Error Deadline::error() const {
    const auto timeout = [](std::string_view what, std::chrono::milliseconds limit) {
        return Error{ErrorCode::kUpstreamTimeout,
                     fmt::format("the upstream {} within {} ms", what, limit.count()),
                     "raise the provider's `timeouts` in the configuration if that is too short",
                     {},
                     "upstream_timeout"};
    };
    switch (reason_) {
        case Reason::kConnect: return timeout("could not be connected to", timeouts_.connect);
        case Reason::kFirstByte: return timeout("did not begin to answer", timeouts_.first_byte);
        case Reason::kChunks: return timeout("sent no further data", timeouts_.between_chunks);
        case Reason::kTotal: return timeout("did not finish its answer", timeouts_.total);
        case Reason::kClientGone:
            return Error{
                ErrorCode::kClientGone, "the client closed the connection", {}, {}, "client_gone"};
        case Reason::kShutdown:
            return Error{ErrorCode::kUnavailable,
                         "the gateway is shutting down",
                         "send the request again",
                         {},
                         "shutting_down"};
        case Reason::kNone: break;
    }
    return Error{ErrorCode::kInternal, "no interruption", {}, {}, {}};
}

}  // namespace leeway::net
