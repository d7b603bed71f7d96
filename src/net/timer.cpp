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

void TimerWheel::insert(Timer& timer) noexcept {
    // A time that has passed goes into the slot that is looked at next.
    timer.when_ = std::max(timer.when_, current_);
    Slot& slot = slots_[slot_of(timer.when_)];
    if (slot.first == nullptr) {
        timer.next_ = timer.previous_ = &timer;
        slot.first = &timer;
    } else {
        timer.next_ = slot.first;
        timer.previous_ = slot.first->previous_;
        timer.previous_->next_ = &timer;
        slot.first->previous_ = &timer;
    }
    ++count_;
    // Fire at the end of the tick: never early.
    plan(timer.when_ + kTick);
}

void TimerWheel::remove(Timer& timer) noexcept {
    Slot& slot = slots_[slot_of(timer.when_)];
    if (timer.next_ == &timer) {
        slot.first = nullptr;
    } else {
        timer.previous_->next_ = timer.next_;
        timer.next_->previous_ = timer.previous_;
        if (slot.first == &timer) slot.first = timer.next_;
    }
    timer.next_ = timer.previous_ = nullptr;
    --count_;
}

void TimerWheel::plan(TimePoint when) noexcept {
    if (when >= planned_) return;
    planned_ = when;
    wake_(context_, when);
}

void TimerWheel::advance(TimePoint now) noexcept {
    planned_ = TimePoint::max();
    const auto ticks = static_cast<std::size_t>((now - current_) / kTick) + 1;
    const std::size_t first = slot_of(current_);
    for (std::size_t i = 0; i < std::min(ticks + 1, kSlots); ++i) {
        Slot& slot = slots_[(first + i) % kSlots];
        // A callback may arm, cancel or destroy any timer, so start over after each one.
        bool fired = true;
        while (fired && slot.first != nullptr) {
            fired = false;
            Timer* timer = slot.first;
            do {
                if (timer->when_ <= now) {
                    remove(*timer);
                    timer->callback_(timer->context_);
                    fired = true;
                    break;
                }
                timer = timer->next_;
            } while (timer != slot.first);
        }
    }
    current_ = std::max(current_, now);
    if (count_ == 0) return;
    // The nearest slot in use bounds the next wake-up; entries of later rounds only cost a look.
    const std::size_t here = slot_of(current_);
    for (std::size_t i = 0; i < kSlots; ++i) {
        if (slots_[(here + i) % kSlots].first == nullptr) continue;
        plan(current_ + kTick * static_cast<Duration::rep>(i + 1));
        return;
    }
}

}  // namespace leeway::net
