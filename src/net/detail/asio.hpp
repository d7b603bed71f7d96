#pragma once

// The one place that names Asio types; only .cpp files of net/ include it.

#include "net/event_loop.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstdint>

namespace leeway::net {

namespace asio = boost::asio;
// The concrete executor: the polymorphic one costs an allocation and a virtual call per operation.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

struct EventLoop::Impl {
    Impl();
    static void wake(void* self, TimePoint when);
    void schedule(TimePoint when);

    TimerWheel wheel;  // before `io`: handlers that die with it may own timers
    asio::io_context io{1};
    SteadyTimer timer{io.get_executor()};
    std::atomic<std::uint64_t> failed_tasks{0};
};

}  // namespace leeway::net
