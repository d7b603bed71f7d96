#pragma once

#include "base/clock.hpp"
#include "base/executor.hpp"
#include "base/task.hpp"
#include "net/timer.hpp"

#include <coroutine>
#include <functional>
#include <memory>
#include <string>

namespace leeway::net {

/// One thread's event loop: sockets, timers and posted work all run on the thread in `run()`.
/// Everything is loop-local unless it says otherwise.
class EventLoop final : public Executor {
public:
    EventLoop();
    ~EventLoop() override;
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Runs until `stop`. The calling thread becomes the loop's thread.
    void run();
    /// Makes `run` return soon. Thread-safe.
    void stop();
    /// Runs `work` on the loop's thread. Thread-safe; may be called before `run`.
    void post(std::function<void()> work) override;
    /// Starts a task on this thread; an exception that reaches its end is logged and counted.
    void spawn(Task<void> task);

    [[nodiscard]] TimerWheel& timers() noexcept;

    /// co_await loop.sleep_until(t): resumes not before `t` (granularity 8 ms).
    class SleepAwaiter {
    public:
        SleepAwaiter(EventLoop& loop, TimePoint when) noexcept
            : timer_(loop.timers(), &SleepAwaiter::fire, this), when_(when) {}
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> handle) noexcept {
            handle_ = handle;
            timer_.arm(when_);
        }
        void await_resume() const noexcept {}

    private:
        static void fire(void* self) { static_cast<SleepAwaiter*>(self)->handle_.resume(); }
        Timer timer_;
        TimePoint when_;
        std::coroutine_handle<> handle_;
    };
    [[nodiscard]] SleepAwaiter sleep_for(Duration d) noexcept {
        return SleepAwaiter(*this, monotonic_now() + d);
    }

    /// How many tasks ended with an exception since the start (a bug of ours or no memory).
    [[nodiscard]] std::uint64_t failed_tasks() const noexcept;

    struct Impl;
    /// For net/ only.
    [[nodiscard]] Impl& impl() noexcept { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace leeway::net
