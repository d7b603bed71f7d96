#pragma once

// Test support only: a blocking HTTP/1.1 client over a Unix socket, one connection per request.

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace leeway::models::testing {

struct Answer {
    int status = 0;    ///< 0: no answer came
    std::string head;
    std::string body;  ///< with the chunked coding taken off
};

/// A connection that sends one request. Closing it early is a hang-up.
class Client {
public:
    explicit Client(const std::string& path)
        : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
        connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
        constexpr timeval kPatience{120, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    }
    ~Client() { ::close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }
    void send(std::string_view method, std::string_view path, std::string_view body) {
        std::string text(method);
        text.append(" ").append(path).append(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        if (!body.empty())
            text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
        text.append("\r\n").append(body);
        [[maybe_unused]] const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    }
    /// Waits for some bytes of the answer. False: there are no more.
    bool read_some() {
        char buffer[16384];
        const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
        if (got > 0) raw_.append(buffer, static_cast<std::size_t>(got));
        return got > 0;
    }
    Answer finish() {
        while (read_some()) {
        }
        Answer out;
        const std::size_t end = raw_.find("\r\n\r\n");
        if (end == std::string::npos) return out;
        out.head = raw_.substr(0, end + 2);
        out.status = std::atoi(raw_.c_str() + std::strlen("HTTP/1.1 "));
        out.body = raw_.substr(end + 4);
        if (out.head.find("transfer-encoding: chunked") != std::string::npos)
            out.body = unchunk(out.body);
        return out;
    }

private:
    static std::string unchunk(const std::string& coded) {
        std::string out;
        std::size_t at = 0;
        while (at < coded.size()) {
            const std::size_t size = std::strtoul(coded.c_str() + at, nullptr, 16);
            const std::size_t begin = coded.find("\r\n", at) + 2;
            out += coded.substr(begin, size);
            if (size == 0) return out;
            at = begin + size + 2;
        }
        return out + "<cut>";
    }

    int fd_;
    bool connected_ = false;
    std::string raw_;
};

inline Answer ask(const std::string& socket, std::string_view method, std::string_view path,
                  std::string_view body = {}) {
    Client client(socket);
    if (!client.connected()) return {};
    client.send(method, path, body);
    return client.finish();
}

}  // namespace leeway::models::testing
