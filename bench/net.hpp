#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// Ends the program with a message on stderr. For start-up mistakes only.
[[noreturn]] inline void die(const std::string& message) {
    std::fprintf(stderr, "%s%s%s\n", message.c_str(), errno != 0 ? ": " : "",
                 errno != 0 ? std::strerror(errno) : "");
    std::exit(2);
}

/// Monotonic time in nanoseconds; comparable between processes of one machine.
inline std::int64_t now_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

/// "--name value" pairs and bare flags. Unknown names end the program.
class Options {
public:
    /// `flags` take no value, `values` take one and may be repeated.
    Options(int argc, char** argv, std::span<const char* const> flags,
            std::span<const char* const> values) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view name = argv[i];
            if (contains(flags, name)) {
                given_.emplace_back(name, "1");
            } else if (contains(values, name) && i + 1 < argc) {
                given_.emplace_back(name, argv[++i]);
            } else {
                std::string known =
                    "unknown option or missing value: " + std::string(name) + "\noptions:";
                for (const char* f : flags) known += std::string(" ") + f;
                for (const char* v : values) known += std::string(" ") + v + " X";
                errno = 0;
                die(known);
            }
        }
    }
    /// Last value given under `name`, or `otherwise`.
    [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = "") const {
        std::string_view found = otherwise;
        for (const auto& [n, v] : given_) {
            if (n == name) found = v;
        }
        return std::string(found);
    }
    [[nodiscard]] double number(std::string_view name, double otherwise) const {
        const std::string value = text(name);
        return value.empty() ? otherwise : std::strtod(value.c_str(), nullptr);
    }
    [[nodiscard]] int integer(std::string_view name, int otherwise) const {
        return static_cast<int>(number(name, otherwise));
    }
    [[nodiscard]] bool has(std::string_view name) const { return !text(name).empty(); }
    [[nodiscard]] std::vector<std::string> all(std::string_view name) const {
        std::vector<std::string> values;
        for (const auto& [n, v] : given_) {
            if (n == name) values.emplace_back(v);
        }
        return values;
    }

private:
    static bool contains(std::span<const char* const> names, std::string_view name) {
        for (const char* n : names) {
            if (name == n) return true;
        }
        return false;
    }
    std::vector<std::pair<std::string_view, std::string_view>> given_;
};

/// Where to listen or connect: "PORT", "IP:PORT" or "unix:/path".
struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
};

inline Address parse_address(const std::string& text) {
    Address address;
    errno = 0;
    if (text.starts_with("unix:")) {
        auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
        un->sun_family = AF_UNIX;
        if (text.size() - 5 >= sizeof un->sun_path) die("socket path too long: " + text);
        std::memcpy(un->sun_path, text.c_str() + 5, text.size() - 4);
        address.size = sizeof *un;
        return address;
    }
    const std::size_t colon = text.rfind(':');
    const std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
    const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
    auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(static_cast<std::uint16_t>(std::atoi(port.c_str())));
    if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) != 1) die("not an IPv4 address: " + text);
    address.size = sizeof *in;
    return address;
}

/// Small packets leave at once. Does nothing on Unix sockets.
inline void set_nodelay(int fd) {
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/// Non-blocking listening socket.
inline int listen_on(const Address& address) {
    const int fd = socket(address.get()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, address.get(), address.size) != 0 || listen(fd, 8192) != 0) {
        die("cannot listen");
    }
    return fd;
}

/// Connects (blocking, at most 5 s), then makes the socket non-blocking. -1 on failure.
inline int connect_to(const Address& address) {
    const int fd = socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, address.get(), address.size) != 0) {
        close(fd);
        return -1;
    }
    set_nodelay(fd);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/// Takes as many descriptors as the system allows.
inline void raise_file_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/// Level-triggered epoll keyed by descriptor.
class Epoll {
public:
    Epoll() : fd_(epoll_create1(EPOLL_CLOEXEC)), events_(512) {}
    void add(int fd, std::uint32_t mask) { control(EPOLL_CTL_ADD, fd, mask); }
    void change(int fd, std::uint32_t mask) { control(EPOLL_CTL_MOD, fd, mask); }
    /// Waits at most `timeout_ns` (negative: for ever).
    std::span<const epoll_event> wait(std::int64_t timeout_ns) {
        const int room = static_cast<int>(events_.size());
        if (timeout_ns > 0 && fine_) {
            timespec limit{};
            limit.tv_sec = timeout_ns / 1'000'000'000;
            limit.tv_nsec = timeout_ns % 1'000'000'000;
            const int n = epoll_pwait2(fd_, events_.data(), room, &limit, nullptr);
            if (n >= 0 || errno != ENOSYS) return found(n);
            fine_ = false;  // valgrind and old kernels know only milliseconds
        }
        const int ms = timeout_ns < 0 ? -1 : static_cast<int>((timeout_ns + 999'999) / 1'000'000);
        return found(epoll_wait(fd_, events_.data(), room, ms));
    }

private:
    [[nodiscard]] std::span<const epoll_event> found(int n) const {
        return {events_.data(), static_cast<std::size_t>(n < 0 ? 0 : n)};
    }
    void control(int operation, int fd, std::uint32_t mask) const {
        epoll_event event{};
        event.events = mask;
        event.data.fd = fd;
        epoll_ctl(fd_, operation, fd, &event);
    }
    int fd_;
    bool fine_ = true;
    std::vector<epoll_event> events_;
};

}  // namespace bench
