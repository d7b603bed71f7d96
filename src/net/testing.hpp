#pragma once

#include "net/address.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// Helpers for tests that talk over real sockets.
namespace leeway::net::testing {

/// Waits (up to ten seconds) until `condition` holds; says whether it does.
inline bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// A loop that runs on a thread of its own until this is destroyed.
class LoopThread {
public:
    LoopThread() : thread_([this] { loop_.run(); }) {}
    ~LoopThread() { finish(); }
    LoopThread(const LoopThread&) = delete;
    LoopThread& operator=(const LoopThread&) = delete;
    EventLoop& loop() noexcept { return loop_; }
    /// Runs `work` on the loop and waits for it.
    void run(const std::function<void()>& work) {
        std::promise<void> done;
        loop_.post([&work, &done] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }
    void finish() {
        if (!thread_.joinable()) return;
        loop_.stop();
        thread_.join();
    }

private:
    EventLoop loop_;
    std::thread thread_;
};

/// A blocking socket; reads give up after five seconds.
class RawSocket {
public:
    explicit RawSocket(int fd) : fd_(fd) {
        const timeval limit{5, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    RawSocket(RawSocket&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), seen_(std::move(other.seen_)) {}
    RawSocket& operator=(RawSocket&&) = delete;
    ~RawSocket() { close(); }

    /// `receive_buffer`: a small one makes a peer's writes block early.
    static RawSocket connect(const Address& address, int receive_buffer = 0) {
        sockaddr_un local{};
        sockaddr_in tcp{};
        const sockaddr* target = reinterpret_cast<const sockaddr*>(&tcp);
        socklen_t size = sizeof tcp;
        if (address.is_unix()) {
            local.sun_family = AF_UNIX;
            std::strncpy(local.sun_path, address.unix_path.c_str(), sizeof local.sun_path - 1);
            target = reinterpret_cast<const sockaddr*>(&local);
            size = sizeof local;
        } else {
            tcp.sin_family = AF_INET;
            tcp.sin_port = htons(address.port);
            tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        }
        const int fd = ::socket(target->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receive_buffer > 0)
            ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        if (::connect(fd, target, size) != 0) {
            ::close(fd);
            return RawSocket(-1);
        }
        return RawSocket(fd);
    }

    [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int fd() const noexcept { return fd_; }
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    bool send_bytewise(std::string_view bytes) {
        for (const char c : bytes) {
            if (!send({&c, 1})) return false;
        }
        return true;
    }
    /// Adds what arrives to `seen`; false at the end, at an error, or after five seconds.
    bool receive() {
        char bytes[16384];
        const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
        if (n <= 0) {
            reset_ = n < 0 && errno == ECONNRESET;
            timed_out_ = n < 0 && errno == EAGAIN;
            return false;
        }
        seen_.append(bytes, static_cast<std::size_t>(n));
        return true;
    }
    /// Reads until `mark` has arrived; returns everything up to and with it and forgets it.
    std::string read_until(std::string_view mark) {
        for (;;) {
            if (const auto at = seen_.find(mark); at != std::string::npos) {
                std::string out = seen_.substr(0, at + mark.size());
                seen_.erase(0, at + mark.size());
                return out;
            }
            if (!receive()) return std::exchange(seen_, {});
        }
    }
    /// Everything up to the peer's end.
    std::string read_all() {
        while (receive()) {
        }
        return std::exchange(seen_, {});
    }
    /// A head and a body of the length that it declares.
    std::string read_message() {
        std::string out = read_until("\r\n\r\n");
        const auto at = out.find("content-length: ");
        if (at == std::string::npos) return out;
        const auto length = static_cast<std::size_t>(std::stoul(out.substr(at + 16)));
        while (seen_.size() < length && receive()) {
        }
        out += seen_.substr(0, length);
        seen_.erase(0, length);
        return out;
    }
    [[nodiscard]] bool was_reset() const noexcept { return reset_; }
    [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }
    void shutdown_write() { ::shutdown(fd_, SHUT_WR); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// Closes with a reset.
    void abort() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close();
    }

private:
    int fd_;
    std::string seen_;
    bool reset_ = false;
    bool timed_out_ = false;
};

/// A scripted server: each connection runs `script(socket, index)` on a thread of its own.
class RawServer {
public:
    using Script = std::function<void(RawSocket& socket, int index)>;
    /// At `unix_path`, else at a free port.
    explicit RawServer(Script script, const std::string& unix_path = {})
        : script_(std::move(script)) {
        if (!unix_path.empty()) {
            listen_at(unix_path);
            acceptor_ = std::thread([this] { accept_all(); });
            return;
        }
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at);
        ::listen(listener_, 64);
        socklen_t size = sizeof at;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        address_.host = "127.0.0.1";
        address_.port = ntohs(at.sin_port);
        acceptor_ = std::thread([this] { accept_all(); });
    }
    ~RawServer() {
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        for (std::thread& worker : workers_) worker.join();
        ::close(listener_);
    }
    RawServer(const RawServer&) = delete;
    RawServer& operator=(const RawServer&) = delete;
    [[nodiscard]] const Address& address() const noexcept { return address_; }
    [[nodiscard]] int accepted() const noexcept { return accepted_; }

private:
    void listen_at(const std::string& path) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at);
        ::listen(listener_, 64);
        address_.unix_path = path;
    }
    void accept_all() {
        for (;;) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            const int index = accepted_++;
            workers_.emplace_back([this, fd, index] {
                RawSocket socket(fd);
                script_(socket, index);
            });
        }
    }
    Script script_;
    int listener_ = -1;
    Address address_;
    std::atomic<int> accepted_{0};
    std::vector<std::thread> workers_;  // of the acceptor, until it has ended
    std::thread acceptor_;
};

/// Something to wait for under a deadline: `co_await gate` ends when it is opened or interrupted.
class Gate {
public:
    [[nodiscard]] bool await_ready() const noexcept { return open_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiter_ = handle; }
    void await_resume() const noexcept {}
    /// On the loop.
    void open() {
        open_ = true;
        if (waiter_) std::exchange(waiter_, {}).resume();
    }
    static void interrupt(void* self) { static_cast<Gate*>(self)->open(); }

private:
    bool open_ = false;
    std::coroutine_handle<> waiter_;
};

}  // namespace leeway::net::testing
