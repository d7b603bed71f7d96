// Load generator: one thread, closed loop (each connection asks again when it has its answer) or open
// loop (a fixed rate; latency counts from the intended start). Every answer is checked.
#include "http.hpp"
#include "load_report.hpp"
#include "load_settings.hpp"
#include "net.hpp"

#include <memory>

namespace bench {
namespace {

struct Client {
    int fd = -1;
    bool busy = false;
    bool saw_done = false;
    bool saw_error = false;
    int events = 0;
    int data_lines = 0;
    std::int64_t intended = 0;
    std::int64_t started = 0;
    std::string unsent;
    MessageReader reader{MessageReader::Kind::kResponse};
};

class Load {
public:
    explicit Load(const Settings& settings)
        : settings_(settings),
          address_(parse_address(settings.connect)),
          input_(256 * 1024, '\0'),
          clients_(static_cast<std::size_t>(settings.connections)) {
        for (const std::size_t size : settings_.sizes) {
            templates_.push_back(make_template(settings_, size));
        }
        for (Client& client : clients_) idle_.push_back(&client);
        report_.mode = settings_.rate > 0 ? "open" : "closed";
        report_.connections = settings_.connections;
    }

    Report run() {
        begin_ = now_ns();
        const std::int64_t end = begin_ + settings_.seconds_ns;
        while (true) {
            const std::int64_t now = now_ns();
            const bool over =
                settings_.requests > 0 ? report_.sent >= settings_.requests : now >= end;
            if (over && idle_.size() == clients_.size()) break;
            if (!over) pump(now, end);
            expire(now);
            step(over ? 20'000'000 : next_wait(now_ns()));
        }
        report_.seconds = static_cast<double>(now_ns() - begin_) / 1e9;
        return report_;
    }

    /// Opens all streams, says so on stdout, holds them until stdin ends or the time is over.
    Report hold() {
        begin_ = now_ns();
        while (report_.sent < settings_.requests || waiting_for_first() > 0) {
            if (report_.sent < settings_.requests) pump(now_ns(), INT64_MAX);
            expire(now_ns());
            step(20'000'000);
        }
        std::printf("{\"ready\":%llu,\"failed\":%llu}\n",
                    static_cast<unsigned long long>(report_.sent - report_.failed()),
                    static_cast<unsigned long long>(report_.failed()));
        std::fflush(stdout);
        epoll_.add(STDIN_FILENO, EPOLLIN);
        const std::int64_t end = now_ns() + settings_.hold_ns;
        while (now_ns() < end && !stdin_ended_) step(100'000'000);
        for (const Client& client : clients_) report_.answered += client.busy ? 1 : 0;
        report_.seconds = static_cast<double>(now_ns() - begin_) / 1e9;
        return report_;
    }

private:
    /// Sends on idle connections what is due by now.
    void pump(std::int64_t now, std::int64_t end) {
        while (!idle_.empty()) {
            if (settings_.requests > 0 ? report_.sent >= settings_.requests : now_ns() >= end)
                return;
            std::int64_t intended = now;
            if (settings_.rate > 0) {
                intended = begin_ + static_cast<std::int64_t>(static_cast<double>(report_.sent) *
                                                              1e9 / settings_.rate);
                if (intended > now) return;
                if (now - intended > 1'000'000) ++report_.late;
            } else if (report_.sent < clients_.size() && ramp_start() > now) {
                return;
            }
            Client* client = idle_.back();
            idle_.pop_back();
            start(*client, intended);
        }
    }

    [[nodiscard]] std::int64_t ramp_start() const {
        return begin_ + settings_.ramp_ns * static_cast<std::int64_t>(report_.sent) /
                            static_cast<std::int64_t>(clients_.size());
    }

    [[nodiscard]] std::int64_t next_wait(std::int64_t now) const {
        std::int64_t wait = 20'000'000;
        if (!idle_.empty() && settings_.rate > 0) {
            wait =
                begin_ - now +
                static_cast<std::int64_t>(static_cast<double>(report_.sent) * 1e9 / settings_.rate);
        } else if (!idle_.empty() && report_.sent < clients_.size()) {
            wait = ramp_start() - now;
        }
        return std::clamp<std::int64_t>(wait, 0, 20'000'000);
    }

    void start(Client& c, std::int64_t intended) {
        c.busy = true;
        c.saw_done = c.saw_error = false;
        c.events = c.data_lines = 0;
        c.intended = intended;
        c.started = now_ns();
        c.reader.reset();
        c.unsent.clear();
        Template& t = templates_[report_.sent % templates_.size()];
        ++report_.sent;
        if (!settings_.same) {
            char counter[24];
            std::snprintf(counter, sizeof counter, "%012llu",
                          static_cast<unsigned long long>(report_.sent));
            t.bytes.replace(t.counter_at, kCounterDigits, counter, kCounterDigits);
        }
        if (c.fd < 0 && !open(c)) return fail(c, "connect");
        send_some(c, t.bytes);
    }

    bool open(Client& c) {
        c.fd = connect_to(address_);
        if (c.fd < 0) {
            usleep(1000);
            return false;
        }
        const auto index = static_cast<std::size_t>(c.fd);
        if (by_fd_.size() <= index) by_fd_.resize(index + 1, nullptr);
        by_fd_[index] = &c;
        epoll_.add(c.fd, EPOLLIN);
        return true;
    }

    void disconnect(Client& c) {
        if (c.fd < 0) return;
        by_fd_[static_cast<std::size_t>(c.fd)] = nullptr;
        close(c.fd);
        c.fd = -1;
        ++report_.reconnects;
    }

    void send_some(Client& c, std::string_view bytes) {
        const ssize_t n = send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n == static_cast<ssize_t>(bytes.size())) {
            if (!c.unsent.empty()) {
                c.unsent.clear();
                epoll_.change(c.fd, EPOLLIN);
            }
            return;
        }
        if (n < 0 && errno != EAGAIN) return fail(c, "send");
        c.unsent = std::string(bytes.substr(n < 0 ? 0 : static_cast<std::size_t>(n)));
        epoll_.change(c.fd, EPOLLIN | EPOLLOUT);
    }

    void step(std::int64_t wait) {
        for (const epoll_event& event : epoll_.wait(wait)) {
            const auto index = static_cast<std::size_t>(event.data.fd);
            if (event.data.fd == STDIN_FILENO) {
                stdin_ended_ = true;
            } else if (Client* c = index < by_fd_.size() ? by_fd_[index] : nullptr) {
                if ((event.events & EPOLLOUT) != 0 && !c->unsent.empty()) {
                    send_some(*c, std::string(c->unsent));
                }
                if (c->fd >= 0 && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
                    on_input(*c);
            }
        }
    }

    void on_input(Client& c) {
        const ssize_t n = recv(c.fd, input_.data(), input_.size(), 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (!c.busy) return disconnect(c);
            return fail(c, c.reader.started() ? "cut" : "closed");
        }
        std::string_view in(input_.data(), static_cast<std::size_t>(n));
        if (!c.busy) return fail_unasked(c);
        const auto status = c.reader.feed(in);
        if (settings_.stream && c.reader.status() == 200) read_events(c);
        if (status == MessageReader::Status::kBad) return fail(c, "not_http");
        if (status == MessageReader::Status::kMore) return;
        if (!in.empty()) return fail(c, "extra_bytes");
        check(c);
    }

    void read_events(Client& c) {
        std::string& body = c.reader.body;
        std::size_t at = 0;
        for (std::size_t end; (end = body.find('\n', at)) != std::string::npos; at = end + 1) {
            const std::string_view line = std::string_view(body).substr(at, end - at);
            if (!line.starts_with("data: ")) continue;
            const std::int64_t now = now_ns();
            if (c.data_lines++ == 0) report_.first_event.add(now - c.intended);
            if (line.starts_with(settings_.messages ? R"(data: {"type":"message_stop")"
                                                    : "data: [DONE]")) {
                c.saw_done = true;
            } else if (const auto mark = line.find("lwtok "); mark != std::string_view::npos) {
                ++c.events;
                report_.hold.add(now - std::strtoll(line.data() + mark + 6, nullptr, 10));
            } else if (line.starts_with(R"(data: {"error")")) {
                c.saw_error = true;
            }
        }
        body.erase(0, at);
    }

    void check(Client& c) {
        const std::string& body = c.reader.body;
        if (settings_.idle_streams > 0) return fail(c, "ended");
        if (c.reader.status() != 200) {
            return fail(c, ("status_" + std::to_string(c.reader.status())).c_str());
        }
        if (settings_.stream) {
            if (c.saw_error) return fail(c, "stream_error");
            if (!c.saw_done) return fail(c, "no_done");
            if (settings_.events >= 0 && c.events != settings_.events) return fail(c, "events");
        } else if (body.find(settings_.marker) == std::string::npos || !body.ends_with('}')) {
            return fail(c, "body");
        }
        report_.events += static_cast<std::uint64_t>(c.events);
        ++report_.answered;
        report_.latency.add(now_ns() - c.intended);
        if (c.reader.closes()) disconnect(c);
        release(c);
    }

    void release(Client& c) {
        c.busy = false;
        idle_.push_back(&c);
    }

    void fail(Client& c, const char* reason) {
        if (report_.failures[reason]++ == 0 && report_.first_failure.empty()) {
            report_.first_failure =
                std::string(reason) + ": " + (c.reader.head() + c.reader.body).substr(0, 600);
        }
        disconnect(c);
        release(c);
    }

    /// Bytes on an idle connection: no request of ours failed, but nothing may be silently ignored.
    void fail_unasked(Client& c) {
        ++report_.failures["unasked_bytes"];
        disconnect(c);
    }

    /// A stream that moves is not late: its time counts only until the first event.
    void expire(std::int64_t now) {
        if (now - last_expire_ < 100'000'000) return;
        last_expire_ = now;
        for (Client& c : clients_) {
            const bool waits = settings_.idle_streams > 0 ? c.data_lines == 0 : true;
            if (c.busy && waits && now - c.started > settings_.timeout_ns) fail(c, "timeout");
        }
    }

    [[nodiscard]] std::size_t waiting_for_first() const {
        std::size_t n = 0;
        for (const Client& c : clients_) n += c.busy && c.data_lines == 0 ? 1 : 0;
        return n;
    }

    Settings settings_;
    Address address_;
    Epoll epoll_;
    Report report_;
    std::string input_;
    std::vector<Template> templates_;
    std::vector<Client> clients_;
    std::vector<Client*> idle_;
    std::vector<Client*> by_fd_;
    std::int64_t begin_ = 0;
    std::int64_t last_expire_ = 0;
    bool stdin_ended_ = false;
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bench::Settings settings = bench::read_settings(argc, argv);
    bench::raise_file_limit();
    const auto load = std::make_unique<bench::Load>(settings);
    const bench::Report report = settings.idle_streams > 0 ? load->hold() : load->run();
    std::fputs((settings.json ? report.json() + "\n" : report.text()).c_str(), stdout);
    if (!report.first_failure.empty()) {
        std::fprintf(stderr, "first failure: %s\n", report.first_failure.c_str());
    }
    return report.failed() == 0 ? 0 : 1;
}
