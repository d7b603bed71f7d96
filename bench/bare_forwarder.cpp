// The lower bound of any proxy: a thread that moves bytes between two sockets, one upstream
// connection for each client connection, and knows nothing of HTTP.
#include "net.hpp"

#include <algorithm>
#include <memory>

namespace bench {
namespace {

struct Peer {
    int fd = -1;
    Peer* other = nullptr;
    std::string unsent;  // bytes for this peer that its socket did not take; its source then waits
};

class Forwarder {
public:
    Forwarder(const std::string& listen, const std::string& upstream)
        : upstream_(parse_address(upstream)),
          listener_(listen_on(parse_address(listen))),
          buffer_(64 * 1024, '\0') {
        epoll_.add(listener_, EPOLLIN);
    }

    [[noreturn]] void run() {
        while (true) {
            for (const epoll_event& event : epoll_.wait(-1)) {
                if (event.data.fd == listener_) {
                    accept_all();
                    continue;
                }
                Peer* peer = peers_[static_cast<std::size_t>(event.data.fd)].get();
                if (peer == nullptr) continue;
                if ((event.events & EPOLLOUT) != 0 && !flush(*peer)) continue;
                if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) forward(*peer);
            }
        }
    }

private:
    void accept_all() {
        while (true) {
            const int client = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (client < 0) return;
            const int server = connect_to(upstream_);
            if (server < 0) {
                close(client);
                continue;
            }
            set_nodelay(client);
            Peer& a = add(client);
            Peer& b = add(server);
            a.other = &b;
            b.other = &a;
        }
    }

    Peer& add(int fd) {
        const auto index = static_cast<std::size_t>(fd);
        if (peers_.size() <= index) peers_.resize(index + 1);
        peers_[index] = std::make_unique<Peer>();
        peers_[index]->fd = fd;
        epoll_.add(fd, EPOLLIN);
        return *peers_[index];
    }

    void drop(Peer& peer) {
        const int fds[] = {peer.fd, peer.other->fd};
        for (const int fd : fds) {
            close(fd);
            peers_[static_cast<std::size_t>(fd)].reset();
        }
    }

    void forward(Peer& from) {
        Peer& to = *from.other;
        if (!to.unsent.empty()) return;
        const ssize_t n = recv(from.fd, buffer_.data(), buffer_.size(), 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return drop(from);
        const ssize_t sent = send(to.fd, buffer_.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
        if (sent == n) return;
        if (sent < 0 && errno != EAGAIN) return drop(from);
        to.unsent.assign(buffer_, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)),
                         static_cast<std::size_t>(n - std::max<ssize_t>(sent, 0)));
        epoll_.change(to.fd, EPOLLIN | EPOLLOUT);
        epoll_.change(from.fd, 0);
    }

    bool flush(Peer& to) {
        const ssize_t n = send(to.fd, to.unsent.data(), to.unsent.size(), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            drop(to);
            return false;
        }
        to.unsent.erase(0, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (!to.unsent.empty()) return true;
        // Each side may itself still wait for the other's bytes to leave.
        epoll_.change(to.fd, to.other->unsent.empty() ? EPOLLIN : 0);
        epoll_.change(to.other->fd, to.other->unsent.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
        return true;
    }

    Address upstream_;
    int listener_;
    Epoll epoll_;
    std::string buffer_;
    std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    constexpr const char* kValues[] = {"--listen", "--connect"};
    const bench::Options options(argc, argv, {}, kValues);
    bench::raise_file_limit();
    bench::Forwarder(options.text("--listen", "9902"), options.text("--connect", "9901")).run();
}
