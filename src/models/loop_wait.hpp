#pragma once

#include "net/event_loop.hpp"

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

namespace leeway::models {

/// How a coroutine on a loop waits for one value of another thread, or for an interruption, whichever
/// comes first:
///
///     const auto wait = std::make_shared<LoopWait<int>>(loop);
///     const net::Deadline::Guard guard(deadline, &LoopWait<int>::interrupt, wait.get());
///     start_somewhere([wait](int value) { wait->deliver(value); });
///     LoopWait<int>& awaited = *wait;
///     co_await awaited;
///     if (!wait->has_value()) …  // interrupted; a value that comes later is dropped
///
/// The loop must outlive the value's maker. Loop-local but for `deliver`.
template <class T>
class LoopWait : public std::enable_shared_from_this<LoopWait<T>> {
public:
    explicit LoopWait(net::EventLoop& loop) noexcept : loop_(loop) {}

    /// Once, from any thread.
    void deliver(T value) {
        loop_.post([self = this->shared_from_this(), kept = std::move(value)]() mutable {
            self->value_.emplace(std::move(kept));
            self->resume();
        });
    }
    /// The interrupt of a Deadline. It may come from the middle of something, so the coroutine is resumed
    /// from the loop.
    static void interrupt(void* wait) {
        auto& self = *static_cast<LoopWait*>(wait);
        self.interrupted_ = true;
        self.loop_.post([kept = self.shared_from_this()] { kept->resume(); });
    }

    [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
    [[nodiscard]] T take() { return std::move(*value_); }

    [[nodiscard]] bool await_ready() const noexcept { return value_.has_value() || interrupted_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter_ = handle; }
    void await_resume() const noexcept {}

private:
    void resume() {
        if (waiter_) std::exchange(waiter_, {}).resume();
    }

    net::EventLoop& loop_;
    std::optional<T> value_;
    bool interrupted_ = false;
    std::coroutine_handle<> waiter_;
};

}  // namespace leeway::models
