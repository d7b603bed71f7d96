// Sockets, timers and loops of the gateway as the simulated world has them: linked instead of net/event_loop.cpp,
// net/stream.cpp and net/listener.cpp. Everything above them is the program as it is shipped.

#include "net/event_loop.hpp"
#include "net/listener.hpp"
#include "net/stream.hpp"
#include "sim/network.hpp"
#include "sim/world.hpp"

#include <algorithm>
#include <deque>
#include <exception>
#include <utility>

namespace leeway::sim {
namespace {

ProcessPtr the_process;

}  // namespace

void begin_process(ProcessPtr process) { the_process = std::move(process); }

}  // namespace leeway::sim

namespace leeway::net {

using sim::EndPtr;
using sim::Network;
using sim::ProcessPtr;
using sim::World;

// ---------------------------------------------------------------------------------------------- loops

struct EventLoop::Impl {
    Impl() : process(sim::the_process), wheel(&Impl::wake, this, monotonic_now()) {}
    static void wake(void* self, TimePoint when) {
        auto& impl = *static_cast<Impl*>(self);
        World& world = World::get();
        const std::uint64_t plan = ++impl.plan;
        world.after(std::max(Duration::zero(), when - world.now()),
                    [&impl, process = impl.process, plan] {
                        if (!process->alive || impl.plan != plan) return;
                        impl.wheel.advance(monotonic_now());
                    });
    }
    void run_posted() {
        scheduled = false;
        std::deque<std::function<void()>> now;
        now.swap(posted);
        for (auto& work : now) work();
    }

    ProcessPtr process;
    TimerWheel wheel;
    std::deque<std::function<void()>> posted;
    bool scheduled = false;
    std::uint64_t plan = 0;
    std::uint64_t failed = 0;
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() { World::get().violated("somebody runs a loop"); }
void EventLoop::stop() {}

void EventLoop::post(std::function<void()> work) {
    impl_->posted.push_back(std::move(work));
    if (std::exchange(impl_->scheduled, true)) return;
    World& world = World::get();
    world.after(world.random.between(Duration::zero(), Duration(std::chrono::microseconds(200))),
                [impl = impl_.get(), process = impl_->process] {
                    if (process->alive) impl->run_posted();
                });
}

void EventLoop::spawn(Task<void> task) {
    leeway::spawn(std::move(task), [this](const std::exception_ptr& error) {
        ++impl_->failed;
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            World::get().violated(std::string("a task ended with an exception: ") + e.what());
        }
    });
}

TimerWheel& EventLoop::timers() noexcept { return impl_->wheel; }
std::uint64_t EventLoop::failed_tasks() const noexcept { return impl_->failed; }

// -------------------------------------------------------------------------------------------- streams

namespace {

class SimStream final : public Stream {
public:
    explicit SimStream(EndPtr end) : end_(std::move(end)) {}
    ~SimStream() override { end_->close(); }
    void start_read(IoOp& op, std::span<char> into) override { end_->start_read(op, into); }
    void start_write(IoOp& op, std::span<const std::string_view> pieces) override {
        end_->start_write(op, pieces);
    }
    void cancel() noexcept override { end_->cancel(); }
    void shutdown_write() noexcept override { end_->finish(); }
    void close() noexcept override { end_->close(); }
    void abort() noexcept override { end_->reset(); }

private:
    EndPtr end_;
};

/// A connection in the making. Whoever is interrupted walks away.
struct Attempt {
    std::coroutine_handle<> waiter;
    EndPtr end;
    bool done = false;
    bool left = false;

    void finish() {
        done = true;
        if (waiter) std::exchange(waiter, {}).resume();
    }
    static void interrupt(void* self) {
        auto& attempt = *static_cast<Attempt*>(self);
        attempt.left = true;
        if (!attempt.done) attempt.finish();
    }
};

struct AttemptAwaiter {
    Attempt& attempt;
    [[nodiscard]] bool await_ready() const noexcept { return attempt.done; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { attempt.waiter = handle; }
    void await_resume() const noexcept {}
};

}  // namespace

class TlsContext {};

Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string&) {
    return std::make_shared<TlsContext>();
}

Task<Result<std::unique_ptr<Stream>>> connect_stream(EventLoop& loop, Address address,
                                                     std::shared_ptr<TlsContext> /*tls*/,
                                                     Deadline& deadline) {
    deadline.enter(Deadline::Phase::kConnect);
    if (deadline.interrupted()) co_return fail(deadline.error());
    const auto attempt = std::make_shared<Attempt>();
    const ProcessPtr process = loop.impl().process;
    Network::get().connect(address.text(), process, [attempt, process](EndPtr end) {
        if (!process->alive) return;
        if (attempt->left) {
            if (end) end->close();
            return;
        }
        attempt->end = std::move(end);
        attempt->finish();
    });
    {
        const Deadline::Guard guard(deadline, &Attempt::interrupt, attempt.get());
        AttemptAwaiter awaiter{*attempt};
        co_await awaiter;
    }
    if (attempt->end && deadline.interrupted()) attempt->end->close();
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (!attempt->end) {
        co_return fail(Error{ErrorCode::kUpstreamInvalid,
                             "cannot connect to the upstream at " + address.text() + ": refused",
                             "check that it runs and that `base_url` is right",
                             {},
                             "upstream_unreachable"});
    }
    std::unique_ptr<Stream> stream = std::make_unique<SimStream>(attempt->end);
    co_return stream;
}

// ------------------------------------------------------------------------------------------- listener

struct Listener::Impl {
    EventLoop& loop;
    Accepted accepted;
    void* context;
};

Listener::Listener(EventLoop& loop, Accepted accepted, void* context)
    : impl_(std::make_shared<Impl>(Impl{loop, accepted, context})) {}

Listener::~Listener() { close(); }

Result<Address> Listener::open(const Address& address, bool /*shared*/) {
    Network::get().listen(
        address.text(), impl_.get(), impl_->loop.impl().process, [impl = impl_.get()](EndPtr end) {
            impl->accepted(impl->context, std::make_unique<SimStream>(std::move(end)));
        });
    return address;
}

void Listener::close() noexcept { Network::get().stop_listening(impl_.get()); }

Result<void> check_address_free(const Address&) { return {}; }

}  // namespace leeway::net
