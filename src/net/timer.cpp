#include "net/timer.hpp"

#include <algorithm>

namespace leeway::net {

void Timer::arm(TimePoint when) noexcept {
    if (armed()) wheel_.remove(*this);
    when_ = when;
    wheel_.insert(*this);
}

void Timer::cancel() noexcept {
    if (armed()) wheel_.remove(*this);
}

TimerWheel::TimerWheel(Wake wake, void* context, TimePoint now) noexcept
    : wake_(wake), context_(context), start_(now), current_(now) {}

std::size_t TimerWheel::slot_of(TimePoint when) const noexcept {
    return static_cast<std::size_t>((when - start_) / kTick) % kSlots;
}

void TimerWheel::link(Timer& timer, Timer*& list) noexcept {
    if (list == nullptr) {
        timer.next_ = timer.previous_ = &timer;
        list = &timer;
    } else {
        timer.next_ = list;
        timer.previous_ = list->previous_;
        timer.previous_->next_ = &timer;
        list->previous_ = &timer;
    }
    timer.list_ = &list;
}

void TimerWheel::unlink(Timer& timer) noexcept {
    if (timer.next_ == &timer) {
        *timer.list_ = nullptr;
    } else {
        timer.previous_->next_ = timer.next_;
        timer.next_->previous_ = timer.previous_;
        if (*timer.list_ == &timer) *timer.list_ = timer.next_;
    }
    timer.next_ = timer.previous_ = nullptr;
    timer.list_ = nullptr;
}

void TimerWheel::insert(Timer& timer) noexcept {
    // A time that has passed goes into the slot that is looked at next; the far end must not overflow.
    timer.when_ = std::clamp(timer.when_, current_, TimePoint::max() - kTick);
    link(timer, slots_[slot_of(timer.when_)]);
    ++count_;
    // Fire at the end of the tick: never early.
    plan(timer.when_ + kTick);
}

void TimerWheel::remove(Timer& timer) noexcept {
    unlink(timer);
    --count_;
}

void TimerWheel::plan(TimePoint when) noexcept {
    if (when >= planned_) return;
    planned_ = when;
    wake_(context_, when);
}

void TimerWheel::collect_due(Timer*& list) noexcept {
    if (list == nullptr) return;
    const Timer* const last = list->previous_;
    for (Timer* timer = list;;) {
        Timer* const next = timer->next_;
        const bool at_end = timer == last;
        if (timer->when_ <= current_) {
            unlink(*timer);
            link(*timer, due_);
        }
        if (at_end) return;
        timer = next;
    }
}

void TimerWheel::advance(TimePoint now) noexcept {
    const TimePoint from = current_;
    current_ = std::max(current_, now);
    // What callbacks arm is planned once, below.
    planned_ = TimePoint::min();
    const auto ticks = static_cast<std::size_t>((current_ - from) / kTick) + 2;
    const std::size_t first = slot_of(from);
    for (std::size_t i = 0; i < std::min(ticks, kSlots); ++i)
        collect_due(slots_[(first + i) % kSlots]);
    // A callback may arm, cancel or destroy any timer, also one that is due; what it arms fires in a
    // later round, so a timer that arms itself for now cannot hold the loop.
    while (due_ != nullptr) {
        Timer& timer = *due_;
        remove(timer);
        timer.callback_(timer.context_);
    }
    planned_ = TimePoint::max();
    if (count_ == 0) return;
    // The nearest slot in use bounds the next wake-up; entries of later rounds only cost a look.
    const std::size_t here = slot_of(current_);
    for (std::size_t i = 0; i < kSlots; ++i) {
        if (slots_[(here + i) % kSlots] == nullptr) continue;
        plan(current_ + kTick * static_cast<Duration::rep>(i + 1));
        return;
    }
}

}  // namespace leeway::net
