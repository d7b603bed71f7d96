#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

namespace leeway::net {

/// How an operation on a stream ended.
enum class IoStatus : unsigned char {
    kOk,
    kEnd,       ///< the peer finished sending (reads only)
    kCanceled,  ///< `Stream::cancel` or `close` was called
    kReset,     ///< the peer or the network broke the connection
};

struct IoResult {
    IoStatus status = IoStatus::kOk;
    std::size_t bytes = 0;
};

/// One pending operation on a stream. Loop-local; must stay at its place and alive while pending.
/// A coroutine awaits it, or `on_done` is called when nobody does, so a read can be left standing
/// while its owner is busy elsewhere: that is how a hang-up is noticed at once.
class IoOp {
public:
    using Hook = void (*)(void* context, IoResult result);

    IoOp() = default;
    IoOp(const IoOp&) = delete;
    IoOp& operator=(const IoOp&) = delete;

    [[nodiscard]] bool pending() const noexcept { return pending_; }
    /// Result of the last completed operation.
    [[nodiscard]] IoResult result() const noexcept { return result_; }
    /// Called when the operation completes and no coroutine waits. Null: nothing.
    void set_hook(Hook hook, void* context) noexcept {
        hook_ = hook;
        context_ = context;
    }

    // For Stream implementations.
    void begin() noexcept { pending_ = true; }
    void complete(IoResult result) {
        pending_ = false;
        result_ = result;
        if (waiter_) {
            std::exchange(waiter_, {}).resume();
        } else if (hook_ != nullptr) {
            hook_(context_, result);
        }
    }

    /// The loop is destroyed with the operation pending: hooks hear of it, coroutines do not.
    void abandon() {
        pending_ = false;
        result_ = {IoStatus::kCanceled, 0};
        if (!waiter_ && hook_ != nullptr) hook_(context_, result_);
    }

    // co_await op: waits until it is not pending.
    [[nodiscard]] bool await_ready() const noexcept { return !pending_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter_ = handle; }
    IoResult await_resume() const noexcept { return result_; }

private:
    bool pending_ = false;
    IoResult result_;
    std::coroutine_handle<> waiter_;
    Hook hook_ = nullptr;
    void* context_ = nullptr;
};

}  // namespace leeway::net
