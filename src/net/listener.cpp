#include "net/listener.hpp"

#include "net/detail/asio.hpp"
#include "net/detail/plain_stream.hpp"

#include <arpa/inet.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <netdb.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace leeway::net {
namespace {

using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol, Executor>;

constexpr int kBacklog = 4096;
constexpr auto kAcceptPause = std::chrono::milliseconds(50);

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] int family() const { return storage.ss_family; }
};

tl::unexpected<Error> cannot_listen(const Address& address, int error) {
    std::string hint = "choose another address with --listen";
    if (error == EADDRINUSE)
        hint = "another program listens there; stop it, or choose another port with --listen";
    if (error == EACCES) hint = "ports below 1024 need root";
    return fail(ErrorCode::kConfig,
                "cannot listen on " + address.text() + ": " + std::strerror(error), hint);
}

Result<SocketAddress> to_socket_address(const Address& address) {
    SocketAddress out;
    if (address.is_unix()) {
        auto* target = reinterpret_cast<sockaddr_un*>(&out.storage);
        target->sun_family = AF_UNIX;
        std::memcpy(target->sun_path, address.unix_path.c_str(), address.unix_path.size() + 1);
        out.size = sizeof(sockaddr_un);
        return out;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (error != 0) {
        return fail(ErrorCode::kConfig,
                    "cannot resolve '" + address.host + "': " + ::gai_strerror(error),
                    "give an IP address of this machine, e.g. 127.0.0.1:8484");
    }
    std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
    out.size = found->ai_addrlen;
    ::freeaddrinfo(found);
    return out;
}

/// A bound, listening descriptor.
Result<int> open_listener(const Address& address, const SocketAddress& at, bool shared) {
    const int fd = ::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return cannot_listen(address, errno);
    const int on = 1;
    if (address.is_unix()) {
        ::fchmod(fd, 0600);  // before `bind`, which makes the file with it: never open to others
    } else {
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (shared) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    if (::bind(fd, at.get(), at.size) != 0 || ::listen(fd, kBacklog) != 0) {
        const int error = errno;
        ::close(fd);
        return cannot_listen(address, error);
    }
    return fd;
}

/// A socket file that nobody listens on any more is removed; one in use is an error, and so is a file
/// that is no socket.
Result<void> clear_stale_socket(const Address& address, const SocketAddress& at) {
    struct stat info{};
    if (::lstat(address.unix_path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode)) {
        return fail(
            ErrorCode::kConfig,
            "cannot listen on " + address.text() + ": a file that is no socket is in the way",
            "choose another path with --listen");
    }
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return cannot_listen(address, errno);
    const int connected = ::connect(fd, at.get(), at.size);
    const int error = errno;
    ::close(fd);
    if (connected == 0 || error == EAGAIN) return cannot_listen(address, EADDRINUSE);
    if (error == ECONNREFUSED) ::unlink(address.unix_path.c_str());
    return {};
}

/// Identity of a file, to remove only what we made.
struct FileId {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const FileId&, const FileId&) = default;
};

FileId file_id(const std::string& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    return {info.st_dev, info.st_ino};
}

}  // namespace

struct Listener::Impl : std::enable_shared_from_this<Listener::Impl> {
    Impl(EventLoop& l, Accepted a, void* c)
        : loop(l), accepted(a), context(c), acceptor(l.impl().io.get_executor()) {}

    void accept();
    void on_accept(const boost::system::error_code& error);
    static Task<void> pause_then_accept(std::shared_ptr<Impl> self) {
        co_await self->loop.sleep_for(kAcceptPause);
        self->accept();
    }

    EventLoop& loop;
    Accepted accepted;
    void* context;
    Acceptor acceptor;
    std::unique_ptr<Socket> incoming;
    std::string unix_path;
    FileId unix_file;
    bool closed = false;
};

void Listener::Impl::accept() {
    if (closed) return;
    incoming = std::make_unique<Socket>(loop.impl().io.get_executor());
    acceptor.async_accept(*incoming,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                              self->on_accept(error);
                          });
}

void Listener::Impl::on_accept(const boost::system::error_code& error) {
    if (error == asio::error::operation_aborted || closed) return;
    if (error == asio::error::connection_aborted) return accept();
    if (error) {
        // No descriptors or no memory: the connection waits in the backlog until something is freed.
        spdlog::warn("accept failed: {}", error.message());
        loop.spawn(pause_then_accept(shared_from_this()));
        return;
    }
    boost::system::error_code ignored;
    incoming->non_blocking(true, ignored);
    if (unix_path.empty()) set_no_delay(*incoming);
    accepted(context, make_plain_stream(std::move(*incoming)));
    accept();
}

Listener::Listener(EventLoop& loop, Accepted accepted, void* context)
    : impl_(std::make_shared<Impl>(loop, accepted, context)) {}

Listener::~Listener() { impl_->closed = true; }

Result<Address> Listener::open(const Address& address, bool shared) {
    auto at = to_socket_address(address);
    if (!at) return fail(std::move(at.error()));
    if (address.is_unix()) {
        if (auto cleared = clear_stale_socket(address, *at); !cleared)
            return fail(std::move(cleared.error()));
    }
    auto fd = open_listener(address, *at, shared);
    if (!fd) return fail(std::move(fd.error()));
    Address bound = address;
    if (address.is_unix()) {
        impl_->unix_path = address.unix_path;
        impl_->unix_file = file_id(address.unix_path);
    } else {
        sockaddr_storage name{};
        socklen_t size = sizeof name;
        ::getsockname(*fd, reinterpret_cast<sockaddr*>(&name), &size);
        bound.port =
            ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&name)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&name)->sin_port);
    }
    boost::system::error_code error;
    impl_->acceptor.assign(asio::generic::stream_protocol(at->family(), 0), *fd, error);
    if (error) {
        ::close(*fd);
        return cannot_listen(address, error.value());
    }
    impl_->accept();
    return bound;
}

void Listener::close() noexcept {
    impl_->closed = true;
    boost::system::error_code ignored;
    impl_->acceptor.close(ignored);
    // A successor may listen there already.
    if (!impl_->unix_path.empty() && file_id(impl_->unix_path) == impl_->unix_file) {
        ::unlink(impl_->unix_path.c_str());
    }
}

Result<void> check_address_free(const Address& address) {
    if (address.is_unix() || address.port == 0) return {};
    auto at = to_socket_address(address);
    if (!at) return fail(std::move(at.error()));
    auto fd = open_listener(address, *at, false);
    if (!fd) return fail(std::move(fd.error()));
    ::close(*fd);
    return {};
}

}  // namespace leeway::net
