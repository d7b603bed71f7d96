#include "net/event_loop.hpp"

#include "net/detail/asio.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include <exception>

namespace leeway::net {

EventLoop::Impl::Impl() : wheel(&Impl::wake, this, monotonic_now()) {}

void EventLoop::Impl::wake(void* self, TimePoint when) { static_cast<Impl*>(self)->schedule(when); }

void EventLoop::Impl::schedule(TimePoint when) {
    timer.expires_at(when);
    timer.async_wait([this](const boost::system::error_code& error) {
        if (!error) wheel.advance(monotonic_now());
    });
}

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
    const auto guard = asio::make_work_guard(impl_->io);
    impl_->io.run();
}

void EventLoop::stop() { impl_->io.stop(); }

void EventLoop::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

void EventLoop::spawn(Task<void> task) {
    const auto on_error = [this](const std::exception_ptr& error) {
        impl_->failed_tasks.fetch_add(1, std::memory_order_relaxed);
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            spdlog::error("a task ended with an exception: {}", e.what());
        } catch (...) {
            spdlog::error("a task ended with an unknown exception");
        }
    };
    leeway::spawn(std::move(task), on_error);
}

TimerWheel& EventLoop::timers() noexcept { return impl_->wheel; }

std::uint64_t EventLoop::failed_tasks() const noexcept {
    return impl_->failed_tasks.load(std::memory_order_relaxed);
}

}  // namespace leeway::net
