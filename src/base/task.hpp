#pragma once

#include "base/frame_pool.hpp"

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace leeway {

template <class T = void>
class Task;

namespace detail {

/// Resumes whoever awaits the task, by symmetric transfer: no stack growth in loops of awaits.
struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
        return handle.promise().continuation;
    }
    void await_resume() const noexcept {}
};

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;

    static void* operator new(std::size_t size) { return take_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { give_frame(frame, size); }

    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object() noexcept;
    template <class U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (exception) std::rethrow_exception(exception);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const {
        if (exception) std::rethrow_exception(exception);
    }
};

}  // namespace detail

/// A coroutine that starts when it is awaited and is awaited once. It runs on the thread that
/// resumes it; a `Task` never moves between threads by itself. Our code does not throw, but a
/// library's exception (e.g. bad_alloc) travels to the awaiting coroutine.
///
/// Rules for code that awaits (g++ 12 miscompiles the forms they forbid, CONTRIBUTING.md has them
/// all): name lambdas and aggregates before the `co_await`; no `?:` around it; never make a
/// capturing lambda a coroutine; keep no view of a caller's temporary across a suspension.
template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::Promise<T>;

    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        handle_.promise().continuation = awaiting;
        return handle_;
    }
    T await_resume() { return handle_.promise().take(); }

private:
    std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

/// The root of a chain of tasks: starts at once, frees itself at the end.
struct Detached {
    struct promise_type {
        Detached get_return_object() const noexcept { return {}; }
        [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
        [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        // `spawn` catches before this can be reached.
        void unhandled_exception() const noexcept { std::terminate(); }
    };
};

template <class OnError>
Detached run_detached(Task<void> task, OnError on_error) {
    try {
        co_await task;
    } catch (...) {
        on_error(std::current_exception());
    }
}

}  // namespace detail

/// Starts `task` now, on this thread, and lets it run on by itself. An exception that reaches the
/// end is given to `on_error` (which must not throw): nothing vanishes.
template <class OnError>
void spawn(Task<void> task, OnError on_error) {
    detail::run_detached(std::move(task), std::move(on_error));
}

}  // namespace leeway
