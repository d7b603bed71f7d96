#include "net/stream.hpp"

#include "net/detail/asio.hpp"
#include "net/detail/plain_stream.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace leeway::net {
namespace {

constexpr std::size_t kMaxPieces = 16;

IoStatus status_of(const boost::system::error_code& error) {
    if (!error) return IoStatus::kOk;
    // TLS that ends without close_notify counts as broken: anyone on the way could have cut it.
    if (error == asio::error::eof) return IoStatus::kEnd;
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

/// The handler of one operation. Asio moves it about; when the loop is destroyed it is dropped uncalled.
class Completion {
public:
    explicit Completion(IoOp& op, std::size_t already = 0) noexcept : op_(&op), already_(already) {}
    Completion(Completion&& other) noexcept
        : op_(std::exchange(other.op_, nullptr)), already_(other.already_) {}
    Completion& operator=(Completion&&) = delete;
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;
    ~Completion() {
        if (op_ != nullptr) op_->abandon();
    }
    void operator()(const boost::system::error_code& error, std::size_t bytes) {
        std::exchange(op_, nullptr)->complete({status_of(error), already_ + bytes});
    }

private:
    IoOp* op_;
    std::size_t already_;
};

/// close() of a socket in this state sends a reset.
void arm_reset(Socket& socket) noexcept {
    const linger now{1, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

class PlainStream final : public Stream {
public:
    explicit PlainStream(Socket socket) : socket_(std::move(socket)) {}

    void start_read(IoOp& op, std::span<char> into) override {
        op.begin();
        socket_.async_read_some(asio::buffer(into.data(), into.size()), Completion(op));
    }

    void start_write(IoOp& op, std::span<const std::string_view> pieces) override {
        op.begin();
        std::size_t total = 0;
        for (const std::string_view piece : pieces) total += piece.size();
        // The kernel nearly always takes everything: one call, no suspension.
        const ssize_t sent = send_now(pieces);
        if (sent >= 0 && static_cast<std::size_t>(sent) == total)
            return op.complete({IoStatus::kOk, total});
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return op.complete({IoStatus::kReset, 0});
        }
        const std::size_t taken = sent > 0 ? static_cast<std::size_t>(sent) : 0;
        rest_.assign(pieces, taken);
        asio::async_write(socket_, rest_, Completion(op, taken));
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
    void abort() noexcept override {
        arm_reset(socket_);
        close();
    }

private:
    ssize_t send_now(std::span<const std::string_view> pieces) {
        std::array<iovec, kMaxPieces> vectors{};
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
        stream_.async_read_some(asio::buffer(into.data(), into.size()), Completion(op));
    }
    void start_write(IoOp& op, std::span<const std::string_view> pieces) override {
        op.begin();
        rest_.assign(pieces, 0);
        asio::async_write(stream_, rest_, Completion(op));
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
    void abort() noexcept override {
        arm_reset(stream_.next_layer());
        close();
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

/// A name look-up. It runs on Asio's own thread, where nothing can stop it, so whoever is interrupted
/// walks away and the handler keeps this alive until it is done.
struct Lookup {
    explicit Lookup(asio::io_context& io) : resolver(io.get_executor()) {}
    Resolver resolver;
    ErrorAwaiter done;
    Resolver::results_type results;
    bool over = false;

    void finish(const boost::system::error_code& error) {
        if (std::exchange(over, true)) return;
        done.handler()(error);
    }
    static void interrupt(void* self) {
        auto& lookup = *static_cast<Lookup*>(self);
        lookup.resolver.cancel();
        lookup.finish(asio::error::operation_aborted);
    }
};

Error unreachable(const Address& address, const boost::system::error_code& error) {
    return Error{ErrorCode::kUpstreamInvalid,
                 "cannot connect to the upstream at " + address.text() + ": " + error.message(),
                 "check that it runs and that `base_url` is right",
                 {},
                 "upstream_unreachable"};
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
    const auto lookup = std::make_shared<Lookup>(loop.impl().io);
    const auto handler = [lookup](const boost::system::error_code& e,
                                  Resolver::results_type found) {
        lookup->results = std::move(found);
        lookup->finish(e);
    };
    {
        const Deadline::Guard guard(deadline, &Lookup::interrupt, lookup.get());
        lookup->resolver.async_resolve(address.host, std::to_string(address.port), handler);
        error = co_await lookup->done;
    }
    if (deadline.interrupted()) co_return fail(deadline.error());
    if (error) co_return fail(unreachable(address, error));
    for (const auto& entry : lookup->results) out.emplace_back(entry.endpoint());
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

namespace {

/// A connection that waits for an answer for minutes, or idles in the pool, must notice that its peer
/// vanished without a word (a lost machine, a forgetful NAT).
void set_keep_alive(Socket& socket) noexcept {
    const int on = 1;
    const int idle_s = 30;
    const int interval_s = 10;
    const int probes = 3;
    const int fd = socket.native_handle();
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/// What the certificate must be for. OpenSSL checks it itself, so that it can say what is wrong.
void expect_name(SSL* ssl, const std::string& host) {
    boost::system::error_code error;
    asio::ip::make_address(host, error);
    X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl);
    if (!error) {
        // RFC 6066: the server's name (SNI) is never an address.
        X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str());
        return;
    }
    SSL_set_tlsext_host_name(ssl, host.c_str());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size());
}

Error tls_failed(const Address& address, SSL* ssl, const boost::system::error_code& error) {
    Error out{ErrorCode::kUpstreamInvalid,
              "TLS with " + address.text() + " failed: " + error.message(),
              "check that `base_url` names a server that speaks TLS, or begin it with http://",
              {},
              "upstream_tls_failed"};
    const long verdict = SSL_get_verify_result(ssl);
    if (verdict == X509_V_OK) return out;
    out.message = "TLS with " + address.text() + " failed: its certificate is not accepted: " +
                  X509_verify_cert_error_string(verdict);
    const bool other_name =
        verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
    out.hint = other_name
                   ? "name the host in `base_url` as the certificate does"
                   : "if it uses a private authority, name its PEM in the provider's `ca_file`";
    return out;
}

}  // namespace

class TlsContext {
public:
    asio::ssl::context context{asio::ssl::context::tls_client};
};

Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file) {
    auto out = std::make_shared<TlsContext>();
    boost::system::error_code error;
    out->context.set_verify_mode(asio::ssl::verify_peer, error);
    out->context.set_default_verify_paths(error);
    if (error)
        return fail(ErrorCode::kConfig,
                    "cannot load the system's CA certificates: " + error.message());
    SSL_CTX_set_min_proto_version(out->context.native_handle(), TLS1_2_VERSION);
    if (!ca_file.empty()) {
        out->context.load_verify_file(ca_file, error);
        if (error) {
            return fail(ErrorCode::kConfig,
                        "cannot load the CA file '" + ca_file + "': " + error.message(),
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
        if (!address.is_unix()) {
            set_no_delay(socket);
            set_keep_alive(socket);
        }
        if (!tls) {
            std::unique_ptr<Stream> plain = make_plain_stream(std::move(socket));
            co_return plain;
        }
        auto stream = std::make_unique<TlsStream>(std::move(socket), tls->context);
        auto& native = stream->native();
        expect_name(native.native_handle(), address.host);
        ErrorAwaiter shaken;
        {
            const Deadline::Guard guard(deadline, &cancel_socket, &native.next_layer());
            native.async_handshake(asio::ssl::stream_base::client, shaken.handler());
            error = co_await shaken;
        }
        if (deadline.interrupted()) co_return fail(deadline.error());
        if (error) {
            co_return fail(tls_failed(address, native.native_handle(), error));
        }
        std::unique_ptr<Stream> secured = std::move(stream);
        co_return secured;
    }
    co_return fail(unreachable(address, error));
}

}  // namespace leeway::net
