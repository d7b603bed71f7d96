// A fake OpenAI provider: one thread, constant answers, as cheap as it can be, so that a benchmark
// measures the gateway in front of it. GET /stats says how much arrived. With --faults it fails before the first byte of
// an answer, once for each body that it picks: a retry always helps.
#include "http.hpp"
#include "net.hpp"

#include <functional>
#include <memory>
#include <queue>
#include <unordered_set>

namespace bench {
namespace {

constexpr std::string_view kMarker = "leeway-bench-ok";
constexpr std::size_t kStampDigits = 19;

struct Settings {
    std::string listen;
    std::int64_t delay_ns = 0;
    std::int64_t interval_ns = 20'000'000;
    int events = 50;
    std::size_t event_bytes = 200;
    std::size_t answer_bytes = 1024;
    std::size_t faults = 0;  // of 1,000 chat requests
};

struct Stats {
    std::uint64_t connections = 0, requests = 0, chat = 0, streams = 0, embeddings = 0, models = 0,
                  bad = 0, streams_finished = 0, cut = 0, body_bytes = 0, faults = 0, hang_ups = 0;
};

struct Connection {
    int fd = -1;
    std::uint64_t generation = 0;
    MessageReader reader{MessageReader::Kind::kRequest};
    std::string input;  // bytes of a request that came before the last answer was out
    std::string output;  // what the socket did not take yet
    bool answering = false;
    bool streaming = false;
    bool include_usage = false;
    int events_left = 0;
};

struct Due {
    std::int64_t at;
    int fd;
    std::uint64_t generation;
    bool operator<(const Due& other) const { return at > other.at; }
};

std::string http_answer(std::string_view status, std::string_view body) {
    return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: application/json\r\n" +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string http_chunk(std::string_view data) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + std::string(data) + "\r\n";
}

std::string usage_json() {
    return R"("usage":{"prompt_tokens":812,"completion_tokens":50,"total_tokens":862,)"
           R"("prompt_tokens_details":{"cached_tokens":0}})";
}

/// `front` + filling + `back`, exactly `size` bytes where that is possible.
std::string filled(std::string_view front, std::string_view back, std::size_t size) {
    std::string text(front);
    while (text.size() + back.size() < size) text += text.size() % 7 == 0 ? ' ' : 'x';
    return text + std::string(back);
}

/// The answers, made once.
struct Answers {
    explicit Answers(const Settings& settings) {
        buffered = http_answer(
            "200 OK",
            filled(R"({"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,)"
                   R"("model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant",)"
                   R"("content":")" +
                       std::string(kMarker) + " ",
                   R"("},"logprobs":null,"finish_reason":"stop"}],)" + usage_json() + "}",
                   settings.answer_bytes));
        std::string vector = "0.0510";
        for (int i = 1; i < 384; ++i) vector += ",0.0" + std::to_string(100 + i);
        embedding = http_answer(
            "200 OK", R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[)" +
                          vector + R"(]}],"model":"text-embedding-3-small",)" +
                          R"("usage":{"prompt_tokens":14,"total_tokens":14}})");
        models = http_answer("200 OK", R"({"object":"list","data":[{"id":"gpt-4o",)"
                                       R"("object":"model","created":1,"owned_by":"bench"}]})");
        stream_head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n" +
            http_chunk(event(R"({"role":"assistant","content":""})", "null"));
        const std::string front = "data: " + choice_front() + R"({"content":"lwtok )";
        content = http_chunk(filled(front + std::string(kStampDigits, '0') + " ",
                                    R"("},"finish_reason":null}]})"
                                    "\n\n",
                                    settings.event_bytes));
        stamp_at = content.find("lwtok ") + 6;
        finish = http_chunk(event("{}", R"("stop")"));
        usage = http_chunk(R"(data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",)"
                           R"("created":1760000000,"model":"gpt-4o","choices":[],)" +
                           usage_json() + "}\n\n");
        done = http_chunk("data: [DONE]\n\n") + "0\r\n\r\n";
    }
    static std::string choice_front() {
        return R"({"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,)"
               R"("model":"gpt-4o","choices":[{"index":0,"delta":)";
    }
    static std::string event(std::string_view delta, std::string_view reason) {
        return "data: " + choice_front() + std::string(delta) + R"(,"finish_reason":)" +
               std::string(reason) + "}]}\n\n";
    }

    std::string buffered, embedding, models, stream_head, content, finish, usage, done;
    std::size_t stamp_at = 0;
};

class Provider {
public:
    explicit Provider(const Settings& settings)
        : settings_(settings),
          answers_(settings),
          listener_(listen_on(parse_address(settings.listen))),
          input_(256 * 1024, '\0') {
        epoll_.add(listener_, EPOLLIN);
    }

    [[noreturn]] void run() {
        while (true) {
            std::int64_t limit = -1;
            if (!due_.empty()) limit = std::max<std::int64_t>(0, due_.top().at - now_ns());
            for (const epoll_event& event : epoll_.wait(limit)) {
                if (event.data.fd == listener_) {
                    accept_all();
                } else if (Connection* c = at(event.data.fd)) {
                    if ((event.events & EPOLLOUT) != 0 && !flush(*c)) continue;
                    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_input(*c);
                }
            }
            fire_timers();
        }
    }

private:
    Connection* at(int fd) {
        const auto index = static_cast<std::size_t>(fd);
        return index < connections_.size() ? connections_[index].get() : nullptr;
    }

    void accept_all() {
        while (true) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            set_nodelay(fd);
            const auto index = static_cast<std::size_t>(fd);
            if (connections_.size() <= index) connections_.resize(index + 1);
            connections_[index] = std::make_unique<Connection>();
            connections_[index]->fd = fd;
            connections_[index]->generation = ++stats_.connections;
            epoll_.add(fd, EPOLLIN);
        }
    }

    void drop(Connection& c) {
        if (c.answering) ++stats_.cut;
        const int fd = c.fd;
        close(fd);
        connections_[static_cast<std::size_t>(fd)].reset();
    }

    void on_input(Connection& c) {
        const ssize_t n = recv(c.fd, input_.data(), input_.size(), 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return drop(c);
        std::string_view in(input_.data(), static_cast<std::size_t>(n));
        if (c.answering || !c.input.empty()) {
            c.input.append(in);
            return;
        }
        if (read_requests(c, in) && !in.empty()) c.input.assign(in);
    }

    /// Reads and answers until the bytes end or an answer has to wait. False: connection gone.
    bool read_requests(Connection& c, std::string_view& in) {
        while (!in.empty() && !c.answering) {
            const auto status = c.reader.feed(in);
            if (status == MessageReader::Status::kMore) return true;
            if (status == MessageReader::Status::kBad) {
                ++stats_.bad;
                drop(c);
                return false;
            }
            if (!handle(c)) return false;
        }
        return true;
    }

    /// Answers one whole request, now or by a timer. False: connection gone.
    bool handle(Connection& c) {
        const std::string_view head = c.reader.head();
        const std::string_view body = c.reader.body;
        const std::string_view line = head.substr(0, head.find("\r\n"));
        if (line.starts_with("GET /stats")) return answer(c, stats_answer());
        ++stats_.requests;
        stats_.body_bytes += body.size();
        if (has(line, "/chat/completions")) {
            ++stats_.chat;
            if (body.empty() || body.front() != '{' || body.back() != '}') ++stats_.bad;
            c.streaming = has(body, R"("stream":true)") || has(body, R"("stream": true)");
            if (settings_.faults > 0) {
                const std::size_t hash = std::hash<std::string_view>()(body);
                if (hash % 1000 < settings_.faults && failed_.erase(hash) == 0) {
                    failed_.insert(hash);
                    ++stats_.faults;
                    return fail(c, hash / 1000);
                }
            }
            c.include_usage = c.streaming && has(body, R"("include_usage")");
            if (c.streaming) ++stats_.streams;
            if (c.streaming || settings_.delay_ns > 0) {
                c.answering = true;
                c.events_left = c.streaming ? settings_.events : 0;
                if (settings_.delay_ns > 0) return wait(c, now_ns() + settings_.delay_ns);
                return start_stream(c, now_ns());
            }
            return answer(c, answers_.buffered);
        }
        if (has(line, "/embeddings")) {
            ++stats_.embeddings;
            return answer(c, answers_.embedding);
        }
        if (has(line, "/models")) {
            ++stats_.models;
            return answer(c, answers_.models);
        }
        ++stats_.bad;
        return answer(c, http_answer("404 Not Found", R"({"error":{"message":"no such path"}})"));
    }

    /// One of the ways to give no answer, or to give it late. False: connection gone.
    bool fail(Connection& c, std::size_t way) {
        constexpr std::string_view kError =
            R"({"error":{"message":"a fault","type":"server_error","param":null,"code":null}})";
        constexpr std::int64_t kLate = 700'000'000;
        constexpr std::string_view kHead =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Transfer-Encoding: chunked\r\n\r\n";
        switch (way % 6) {
            case 0: return answer(c, http_answer("429 Too Many Requests", kError));
            case 1: return answer(c, http_answer("503 Service Unavailable", kError));
            case 2: return answer(c, http_answer("500 Internal Server Error", kError));
            case 3:
                if (c.streaming) break;
                c.answering = true;
                return wait(c, now_ns() + kLate);
            case 4:
                if (c.streaming) write(c, kHead);
                break;
            default: break;
        }
        ++stats_.hang_ups;
        drop(c);
        return false;
    }

    static bool has(std::string_view text, std::string_view part) {
        return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
    }

    bool answer(Connection& c, std::string_view bytes) {
        c.answering = c.streaming = false;
        c.reader.reset();
        return write(c, bytes);
    }

    bool wait(const Connection& c, std::int64_t until) {
        due_.push({until, c.fd, c.generation});
        return true;
    }

    bool start_stream(Connection& c, std::int64_t at_ns) {
        wait(c, at_ns + settings_.interval_ns);
        return write(c, answers_.stream_head);
    }

    void fire_timers() {
        if (due_.empty()) return;
        const std::int64_t now = now_ns();
        while (!due_.empty() && due_.top().at <= now) {
            const Due due = due_.top();
            due_.pop();
            Connection* c = at(due.fd);
            if (c == nullptr || c->generation != due.generation || !c->answering) continue;
            if (!c->streaming) {
                if (answer(*c, answers_.buffered)) resume(*c);
            } else if (c->events_left == settings_.events && settings_.delay_ns > 0 &&
                       !c->reader.body.empty()) {
                c->reader.body.clear();  // marks that the delay before the first byte is over
                start_stream(*c, due.at);
            } else {
                next_event(*c, due.at);
            }
        }
    }

    /// One content event; with the last one the end of the stream.
    void next_event(Connection& c, std::int64_t at_ns) {
        char stamp[kStampDigits + 2];
        std::snprintf(stamp, sizeof stamp, "%019lld", static_cast<long long>(now_ns()));
        answers_.content.replace(answers_.stamp_at, kStampDigits, stamp, kStampDigits);
        if (--c.events_left > 0) {
            if (write(c, answers_.content)) wait(c, at_ns + settings_.interval_ns);
            return;
        }
        std::string last = answers_.content + answers_.finish;
        if (c.include_usage) last += answers_.usage;
        last += answers_.done;
        ++stats_.streams_finished;
        if (answer(c, last)) resume(c);
    }

    /// Goes on with a request that came while the last answer was on its way.
    void resume(Connection& c) {
        if (c.input.empty()) return;
        const std::string pending = std::exchange(c.input, {});
        std::string_view in = pending;
        if (read_requests(c, in) && !in.empty()) c.input.assign(in);
    }

    bool write(Connection& c, std::string_view bytes) {
        if (c.output.empty()) {
            const ssize_t n = send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n == static_cast<ssize_t>(bytes.size())) return true;
            if (n < 0 && errno != EAGAIN) {
                drop(c);
                return false;
            }
            bytes.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
            epoll_.change(c.fd, EPOLLIN | EPOLLOUT);
        }
        c.output.append(bytes);
        return true;
    }

    bool flush(Connection& c) {
        const std::string rest = std::exchange(c.output, {});
        if (!write(c, rest)) return false;
        if (c.output.empty()) epoll_.change(c.fd, EPOLLIN);
        return true;
    }

    [[nodiscard]] std::string stats_answer() const {
        std::uint64_t open = 0;
        for (const auto& c : connections_) open += c != nullptr && c->streaming ? 1 : 0;
        std::string json = "{";
        const auto put = [&json](std::string_view name, std::uint64_t value) {
            json += (json.size() > 1 ? ",\"" : "\"") + std::string(name) +
                    "\":" + std::to_string(value);
        };
        put("connections", stats_.connections);
        put("requests", stats_.requests);
        put("chat", stats_.chat);
        put("streams", stats_.streams);
        put("streams_open", open);
        put("streams_finished", stats_.streams_finished);
        put("cut", stats_.cut);
        put("embeddings", stats_.embeddings);
        put("models", stats_.models);
        put("bad", stats_.bad);
        put("body_bytes", stats_.body_bytes);
        put("faults", stats_.faults);
        put("hang_ups", stats_.hang_ups);
        return http_answer("200 OK", json + "}");
    }

    Settings settings_;
    Answers answers_;
    Stats stats_;
    int listener_;
    Epoll epoll_;
    std::string input_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::priority_queue<Due> due_;
    std::unordered_set<std::size_t> failed_;  // bodies that failed and were not asked again yet
};

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    constexpr const char* kValues[] = {"--listen", "--delay-ms",    "--interval-ms",
                                       "--events", "--event-bytes", "--answer-bytes",
                                       "--faults"};
    const bench::Options options(argc, argv, {}, kValues);
    bench::Settings settings;
    settings.listen = options.text("--listen", "9901");
    settings.delay_ns = static_cast<std::int64_t>(options.number("--delay-ms", 0) * 1e6);
    settings.interval_ns = static_cast<std::int64_t>(options.number("--interval-ms", 20) * 1e6);
    settings.events = options.integer("--events", 50);
    settings.event_bytes = static_cast<std::size_t>(options.integer("--event-bytes", 200));
    settings.answer_bytes = static_cast<std::size_t>(options.integer("--answer-bytes", 1024));
    settings.faults = static_cast<std::size_t>(options.integer("--faults", 0));
    bench::raise_file_limit();
    bench::Provider(settings).run();
}
