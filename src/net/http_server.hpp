#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "net/address.hpp"
#include "net/byte_room.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"
#include "net/http_message.hpp"
#include "net/http_parser.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace leeway::net {

struct ServerOptions {
    HeadLimits head;
    std::uint64_t body_bytes = 32ULL * 1024 * 1024;
    std::shared_ptr<ByteRoom> body_room;  ///< of all bodies above 64 KiB together; null: no limit
    std::uint32_t connections = 10'000;
    std::chrono::milliseconds header_timeout{10'000};
    std::chrono::milliseconds body_timeout{60'000};
    std::chrono::milliseconds idle_timeout{75'000};
    std::chrono::milliseconds write_timeout{30'000};
};

/// One request on a connection and the way to answer it. Loop-local; lives while `Handler::handle`
/// runs. Every send returns false when the client is gone; further sends are then no-ops. A stream
/// that has no end when `handle` returns is cut as by `break_off`.
class Exchange {
public:
    virtual ~Exchange() = default;

    [[nodiscard]] virtual const RequestHead& head() const noexcept = 0;
    /// When the first byte of the request was seen.
    [[nodiscard]] virtual TimePoint arrival() const noexcept = 0;
    /// Reads the whole body (sends "100 Continue" when asked). The view stays valid until `handle`
    /// returns and has 64 readable bytes behind its end. Errors: kPayloadTooLarge,
    /// kRequestTimeout, kInvalidRequest (framing), kClientGone.
    [[nodiscard]] virtual Task<Result<std::string_view>> read_body() = 0;
    /// From now on a hang-up of the client interrupts `deadline`, which must live until the
    /// exchange ends or `unwatch` is called. Call it before waiting for anything slow.
    virtual void watch(Deadline& deadline) = 0;
    virtual void unwatch() noexcept = 0;

    /// A whole answer. `Content-Length` and `Connection` are added; `fields` must not have them.
    [[nodiscard]] virtual Task<bool> respond(int status, std::span<const Field> fields,
                                             std::string_view body) = 0;
    /// A streamed answer: head now, then pieces, then the end.
    [[nodiscard]] virtual Task<bool> begin_stream(int status, std::span<const Field> fields) = 0;
    /// Sends up to 12 pieces as one chunk; resumes when the kernel has taken them (back-pressure).
    [[nodiscard]] virtual Task<bool> send(std::span<const std::string_view> pieces) = 0;
    [[nodiscard]] virtual Task<bool> end_stream() = 0;
    /// Closes the connection without the end mark, so that the client sees a cut, not an end.
    virtual void break_off() noexcept = 0;
    [[nodiscard]] virtual bool answered() const noexcept = 0;
};

/// What a server does with a request. Called on the server's loop, once per request; the body may be
/// unread. An exchange that was not answered gets a 500.
class Handler {
public:
    virtual ~Handler() = default;
    [[nodiscard]] virtual Task<void> handle(Exchange& exchange) = 0;
    /// Renders an error of the server itself (malformed HTTP, limits, time) in the dialect of the
    /// service: a JSON body. `path` is empty when the request could not be parsed.
    [[nodiscard]] virtual std::string render_error(const Error& error, std::string_view path) = 0;
};

/// An HTTP/1.1 server on one loop. Several servers (one per worker) may listen on one TCP address.
/// Loop-local, but for the counters.
class HttpServer {
public:
    HttpServer(EventLoop& loop, ServerOptions options, Handler& handler);
    ~HttpServer();  ///< only when `connections` is 0, or when the loop no longer runs
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Listens; returns the address with the port that was chosen. `shared`: other workers listen on
    /// the same address. Errors (kConfig) say what is in the way.
    [[nodiscard]] Result<Address> listen(const Address& address, bool shared);
    /// Stops accepting; answers carry `Connection: close`; idle connections are closed. Those that are
    /// left end by themselves: `connections` tells when.
    void stop_accepting();
    /// Interrupts what is still running (after the grace time): requests that watch a deadline hear of
    /// it there, answers that a client does not read are cut.
    void interrupt_all();
    /// Open connections. Thread-safe.
    [[nodiscard]] std::size_t connections() const noexcept;

    struct Impl;

private:
    std::unique_ptr<Impl> impl_;
};

/// "OK", "Not Found", … for a status line.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

}  // namespace leeway::net
