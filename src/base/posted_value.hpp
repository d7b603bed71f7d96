#pragma once

#include "base/executor.hpp"

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

namespace leeway {

/// One value that any thread sends to one coroutine of an executor's thread. The first value that
/// arrives counts, later ones are destroyed on the executor's thread. The receiver may be destroyed
/// at any time, also while its coroutine waits and while a value is on its way.
template <class T>
class PostedValue {
    // Fields are touched on the executor's thread only, so they need no lock.
    struct State {
        std::coroutine_handle<> waiting;
        std::optional<T> value;
        bool settled = false;

        void settle(T&& first) {
            if (settled) return;
            settled = true;
            value.emplace(std::move(first));
        }
        void wake() {
            if (waiting) std::exchange(waiting, {}).resume();
        }
    };

public:
    /// The sending end: copyable, for any thread. The executor must live when `send` is called.
    class Sender {
    public:
        void send(T value) const {
            // std::function copies its target; T may be movable only.
            executor_->post([state = state_, box = std::make_shared<T>(std::move(value))] {
                if (state->settled) return;
                state->settle(std::move(*box));
                state->wake();
            });
        }

    private:
        friend class PostedValue;
        Sender(Executor& executor, std::shared_ptr<State> state)
            : executor_(&executor), state_(std::move(state)) {}
        Executor* executor_;
        std::shared_ptr<State> state_;
    };

    class Awaiter {
    public:
        explicit Awaiter(State& state) noexcept : state_(state) {}
        [[nodiscard]] bool await_ready() const noexcept { return state_.value.has_value(); }
        void await_suspend(std::coroutine_handle<> handle) noexcept { state_.waiting = handle; }
        T await_resume() { return std::move(*state_.value); }

    private:
        State& state_;
    };

    /// On the executor's thread, like everything but `Sender::send`.
    explicit PostedValue(Executor& executor)
        : executor_(&executor), state_(std::make_shared<State>()) {}
    PostedValue(PostedValue&& other) noexcept = default;
    PostedValue& operator=(PostedValue&& other) noexcept {
        close();
        executor_ = other.executor_;
        state_ = std::move(other.state_);
        return *this;
    }
    PostedValue(const PostedValue&) = delete;
    PostedValue& operator=(const PostedValue&) = delete;
    ~PostedValue() { close(); }

    [[nodiscard]] Sender sender() const { return Sender(*executor_, state_); }
    /// `co_await value.receive()`, once. Resumes by a posted job, or goes on when it is there.
    [[nodiscard]] Awaiter receive() noexcept { return Awaiter(*state_); }
    /// Makes `receive` yield `instead` unless a value has arrived. The coroutine resumes by a
    /// posted job, not inside of this call.
    void interrupt(T instead) {
        if (!state_ || state_->settled) return;
        state_->settle(std::move(instead));
        executor_->post([state = state_] { state->wake(); });
    }

    /// What destruction does: nothing is resumed any more, and a value that came is destroyed.
    void close() noexcept {
        if (!state_) return;
        state_->settled = true;
        state_->waiting = {};
        // A value that nobody took must not wait for the last sender to go away. Moved out first:
        // its destructor may run code that comes back here.
        [[maybe_unused]] const std::optional<T> unclaimed =
            std::exchange(state_->value, std::nullopt);
        state_.reset();
    }

private:
    Executor* executor_;
    std::shared_ptr<State> state_;
};

}  // namespace leeway
