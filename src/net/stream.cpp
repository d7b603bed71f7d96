#include "net/stream.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/detail/asio.hpp"
#include "net/detail/plain_stream.hpp"

namespace leeway::net {
namespace {

constexpr std::size_t kMaxPieces = 16;

IoStatus status_of(const boost::system::error_code& error) {
    if (!error) return IoStatus::kOk;
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) return IoStatus::kEnd;
    if (error == asio::error::operation_aborted) return IoStatus::kCanceled;
    return IoStatus::kReset;
}

/// Bytes of a scatter write that are still to be sent.
struct Remaining {
    std::array<asio::const_buffer, kMaxPieces> buffers;
    std::size_t count = 0;

    void assign(std::span<const std::string_view> pieces, std::size_t skip) {
        count = 0;
        for (const std::string_view piece : pieces) {
            if (skip >= piece.size()) {
                skip -= piece.size();
                continue;
            }
            buffers[count++] = asio::const_buffer(piece.data() + skip, piece.size() - skip);
            skip = 0;
        }
    }
    [[nodiscard]] const asio::const_buffer* begin() const { return buffers.data(); }
    [[nodiscard]] const asio::const_buffer* end() const { return buffers.data() + count; }
};

class PlainStream final : public Stream {
public:
    explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

    void start_read(IoOp& op, std::span<char> into) override {
        op.begin();
        socket_.async_read_some(
            asio::buffer(into.data(), into.size()),
            [&op](const boost::system::error_code& error, std::size_t bytes) {
                op.complete({status_of(error), bytes});
            });
    }

    void start_write(IoOp& op, std::span<const std::string_view> pieces) override {
        op.begin();
        std::size_t total = 0;
        for (const std::string_view piece : pieces) total += piece.size();
        // The kernel nearly always takes everything: one call, no suspension.
        const ssize_t sent = send_now(pieces);
        if (sent >= 0 && static_cast<std::size_t>(sent) == total) return op.complete({IoStatus::kOk, total});
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return op.complete({IoStatus::kReset, 0});
        }
        rest_.assign(pieces, sent > 0 ? static_cast<std::size_t>(sent) : 0);
        asio::async_write(socket_, rest_,
                          [&op, total](const boost::system::error_code& error, std::size_t) {
                              op.complete({status_of(error), total});
                          });
    }

    void cancel() noexcept override {
        boost::system::error_code ignored;
        socket_.cancel(ignored);
    }
    void shutdown_write() noexcept override {
        boost::system::error_code ignored;
        socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    }
    void close() noexcept override {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

private:
    ssize_t send_now(std::span<const std::string_view> pieces) {
        std::array<iovec, kMaxPieces> vectors;
        std::size_t count = 0;
        for (const std::string_view piece : pieces) {
            if (piece.empty()) continue;
            vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    Socket socket_;
    Remaining rest_;
};

class TlsStream final : public Stream {
public:
    TlsStream(Socket socket, asio::ssl::context& context) : stream_(std::move(socket), context) {}

    void start_read(IoOp& op, std::span<char> into) override {
        op.begin();
        stream_.async_read_some(
            asio::buffer(into.data(), into.size()),
            [&op](const boost::system::error_code& error, std::size_t bytes) {
                op.complete({status_of(error), bytes});
            });
    }
    void start_write(IoOp& op, std::span<const std::string_view> pieces) override {
        op.begin();
        rest_.assign(pieces, 0);
        asio::async_write(stream_, rest_,
                          [&op](const boost::system::error_code& error, std::size_t bytes) {
                              op.complete({status_of(error), bytes});
                          });
    }
    void cancel() noexcept override {
        boost::system::error_code ignored;
        stream_.next_layer().cancel(ignored);
    }
    void shutdown_write() noexcept override {
        boost::system::error_code ignored;
        stream_.next_layer().shutdown(asio::socket_base::shutdown_send, ignored);
    }
    void close() noexcept override {
        boost::system::error_code ignored;
        stream_.next_layer().close(ignored);
    }

    asio::ssl::stream<Socket>& native() { return stream_; }

private:
    asio::ssl::stream<Socket> stream_;
    Remaining rest_;
};

/// Awaits one Asio operation that reports only an error; the deadline cancels it.
struct ErrorAwaiter {
    std::coroutine_handle<> waiter;
    boost::system::error_code error;
    bool done = false;

    [[nodiscard]] auto handler() {
        return [this](const boost::system::error_code& result) {
            error = result;
            done = true;
            if (waiter) waiter.resume();
        };
    }
    [[nodiscard]] bool await_ready() const noexcept { return done; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter = handle; }
    [[nodiscard]] boost::system::error_code await_resume() const noexcept { return error; }
};

void cancel_socket(void* socket) {
    boost::system::error_code ignored;
    static_cast<Socket*>(socket)->cancel(ignored);
}

using Resolver = asio::ip::basic_resolver<asio::ip::tcp, Executor>;

void cancel_resolver(void* resolver) { static_cast<Resolver*>(resolver)->cancel(); }

Error unreachable(const Address& address, const boost::system::error_code& error) {
    return Error{ErrorCode::kUpstreamInvalid,
                 "cannot connect to the upstream at " + address.text() + ": " + error.message(),
                 "check that it runs and that `base_url` is right", {}, "upstream_unreachable"};
}

Task<Result<std::vector<asio::generic::stream_protocol::endpoint>>> resolve(EventLoop& loop,
                                                                            const Address& address,
                                                                            Deadline& deadline) {
    std::vector<asio::generic::stream_protocol::endpoint> out;
    if (address.is_unix()) {
        out.emplace_back(asio::local::stream_protocol::endpoint(address.unix_path));
        co_return out;
    }
    boost::system::error_code error;
    const auto literal = asio::ip::make_address(address.host, error);
    if (!error) {
        out.emplace_back(asio::ip::tcp::endpoint(literal, address.port));
        co_return out;
    }
    Resolver resolver(loop.impl().io.get_executor());
    ErrorAwaiter resolved;
    Resolver::results_type results;
    const auto handler = [&resolved, &results](const boost::system::error_code& e,
                                               Resolver::results_type found) {
        results = std::move(found);
        resolved.handler()(e);
    };
    {
        const Deadline::Guard guard(deadline, &cancel_resolver, &resolver);
        resolver.async_resolve(address.host, std::to_string(address.port), handler);
        error = co_await resolved;
    }
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (error) co_return fail(unreachable(address, error));
    for (const auto& entry : results) out.emplace_back(entry.endpoint());
    co_return out;
}

}  // namespace

std::unique_ptr<Stream> make_plain_stream(Socket socket) {
    return std::make_unique<PlainStream>(std::move(socket));
}

void set_no_delay(Socket& socket) noexcept {
    const int on = 1;
    // Fails harmlessly on a Unix socket.
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

class TlsContext {
public:
    asio::ssl::context context{asio::ssl::context::tls_client};
};

Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file) {
    auto out = std::make_shared<TlsContext>();
    boost::system::error_code error;
    out->context.set_verify_mode(asio::ssl::verify_peer, error);
    out->context.set_default_verify_paths(error);
    if (error) return fail(ErrorCode::kConfig, "cannot load the system's CA certificates: " + error.message());
    SSL_CTX_set_min_proto_version(out->context.native_handle(), TLS1_2_VERSION);
    if (!ca_file.empty()) {
        out->context.load_verify_file(ca_file, error);
        if (error) {
            return fail(ErrorCode::kConfig, "cannot load the CA file '" + ca_file + "': " + error.message(),
                        "give a readable PEM file with one or more certificates");
        }
    }
    return out;
}

Task<Result<std::unique_ptr<Stream>>> connect_stream(EventLoop& loop, Address address,
                                                     std::shared_ptr<TlsContext> tls,
                                                     Deadline& deadline) {
    deadline.enter(Deadline::Phase::kConnect);
    if (deadline.interrupted()) co_return fail(deadline.error());
    auto endpoints = co_await resolve(loop, address, deadline);
    if (!endpoints) co_return fail(std::move(endpoints.error()));

    boost::system::error_code error = asio::error::host_not_found;
    for (const auto& endpoint : *endpoints) {
        Socket socket(loop.impl().io.get_executor());
        ErrorAwaiter connected;
        {
            const Deadline::Guard guard(deadline, &cancel_socket, &socket);
            socket.async_connect(endpoint, connected.handler());
            error = co_await connected;
        }
        if (deadline.interrupted()) co_return fail(deadline.error());
        if (error) continue;
        socket.non_blocking(true, error);
        set_no_delay(socket);
        if (!tls) {
            std::unique_ptr<Stream> plain = make_plain_stream(std::move(socket));
            co_return plain;
        }
        auto stream = std::make_unique<TlsStream>(std::move(socket), tls->context);
        auto& native = stream->native();
        SSL_set_tlsext_host_name(native.native_handle(), address.host.c_str());
        native.set_verify_callback(asio::ssl::host_name_verification(address.host), error);
        ErrorAwaiter shaken;
        {
            const Deadline::Guard guard(deadline, &cancel_socket, &native.next_layer());
            native.async_handshake(asio::ssl::stream_base::client, shaken.handler());
            error = co_await shaken;
        }
        if (deadline.interrupted()) co_return fail(deadline.error());
        if (error) {
            co_return fail(Error{ErrorCode::kUpstreamInvalid,
                                 "TLS with " + address.text() + " failed: " + error.message(),
                                 "if it uses a private authority, name its PEM in the provider's `ca_file`",
                                 {},
                                 "upstream_tls_failed"});
        }
        std::unique_ptr<Stream> secured = std::move(stream);
        co_return secured;
    }
    co_return fail(unreachable(address, error));
}

}  // namespace leeway::net
