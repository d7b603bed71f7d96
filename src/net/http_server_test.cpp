#include "net/http_server.hpp"

#include "net/testing.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace leeway::net {
namespace {

using std::chrono::milliseconds;
using testing::eventually;
using testing::Gate;
using testing::LoopThread;
using testing::RawSocket;

/// Does what the path says; anything else is an echo.
class TestHandler final : public Handler {
public:
    explicit TestHandler(EventLoop& loop) : loop_(loop) {}

    Task<void> handle(Exchange& exchange) override {
        ++handled;
        const std::string path(exchange.head().path);
        if (path == "/wait") {
            co_await wait(exchange);
        } else if (path == "/slow-end") {
            co_await wait_for_gate(exchange);
        } else if (path == "/stream" || path == "/forget" || path == "/cut") {
            co_await stream(exchange, path);
        } else if (path == "/flood") {
            co_await flood(exchange);
        } else if (path == "/throw") {
            throw std::runtime_error("on purpose");
        } else if (path == "/split") {
            const std::array<Field, 2> fields{Field{"x-bad", "a\r\nx-forged: 1"},
                                              Field{"x-good", "b"}};
            co_await exchange.respond(200, fields, "split");
        } else if (path != "/silent") {
            co_await echo(exchange);
        }
        ++finished;
    }
    std::string render_error(const Error& error, std::string_view) override {
        return error.reason + "|" + error.message;
    }

    Task<void> echo(Exchange& exchange) {
        auto body = co_await exchange.read_body();
        if (!body) {
            const std::string text = body.error().reason;
            co_await exchange.respond(http_status(body.error().code), {}, text);
            co_return;
        }
        // The padding must be readable and the head's views must have stayed.
        padding_sum +=
            body->empty() ? 0 : static_cast<unsigned char>(*(body->data() + body->size() + 63));
        const auto tag = exchange.head().fields.find("x-tag");
        const std::array<Field, 1> fields{Field{"x-tag", tag.value_or("none")}};
        co_await exchange.respond(200, fields, *body);
    }

    /// Streams one piece, then waits to be interrupted.
    Task<void> wait(Exchange& exchange) {
        Deadline deadline(loop_, Timeouts{});
        exchange.watch(deadline);
        co_await exchange.begin_stream(200, {});
        const std::array<std::string_view, 2> pieces{"fir", "st"};
        co_await exchange.send(pieces);
        Gate until_stopped;
        {
            const Deadline::Guard guard(deadline, &Gate::interrupt, &until_stopped);
            if (!deadline.interrupted()) co_await until_stopped;
        }
        interrupted_at = std::chrono::steady_clock::now().time_since_epoch().count();
        reason = static_cast<int>(deadline.reason());
        exchange.unwatch();
        const std::array<std::string_view, 1> last{"last"};
        co_await exchange.send(last);
        co_await exchange.end_stream();
    }

    Task<void> wait_for_gate(Exchange& exchange) {
        Deadline deadline(loop_, Timeouts{});
        exchange.watch(deadline);
        gate = std::make_unique<Gate>();
        waiting = true;
        co_await *gate;
        co_await exchange.respond(200, {}, "late");
        exchange.unwatch();
    }

    Task<void> stream(Exchange& exchange, std::string path) {
        co_await exchange.begin_stream(200, {});
        for (int i = 0; i < 3; ++i) {
            const std::array<std::string_view, 3> pieces{"data: ", "x", "\n\n"};
            co_await exchange.send(pieces);
        }
        if (path == "/cut") exchange.break_off();
        if (path == "/stream") co_await exchange.end_stream();
    }

    Task<void> flood(Exchange& exchange) {
        Deadline deadline(loop_, Timeouts{});
        exchange.watch(deadline);
        const std::string piece(64 * 1024, 'x');
        const std::array<std::string_view, 1> pieces{piece};
        bool ok = co_await exchange.begin_stream(200, {});
        while (ok) {
            ok = co_await exchange.send(pieces);
            if (ok) flooded += piece.size();
        }
        exchange.unwatch();
    }

    std::atomic<int> handled{0};
    std::atomic<int> finished{0};
    std::atomic<bool> waiting{false};
    std::atomic<int> reason{-1};
    std::atomic<std::int64_t> interrupted_at{0};
    std::atomic<std::uint64_t> flooded{0};
    std::atomic<unsigned> padding_sum{0};
    std::unique_ptr<Gate> gate;

private:
    EventLoop& loop_;
};

class HttpServerTest : public ::testing::Test {
public:
    void start(const ServerOptions& options, const std::string& at = "127.0.0.1:0") {
        thread.run([&] {
            server = std::make_unique<HttpServer>(thread.loop(), options, handler);
            auto bound = server->listen(*parse_address(at), false);
            if (bound) address = *bound;
        });
        ASSERT_TRUE(address.port != 0 || address.is_unix());
    }
    void stop() {
        if (!server) return;
        thread.run([&] {
            server->stop_accepting();
            server->interrupt_all();
        });
        EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
        thread.run([&] { server.reset(); });
    }
    void TearDown() override {
        stop();
        thread.finish();
    }
    RawSocket connect(int receive_buffer = 0) {
        return RawSocket::connect(address, receive_buffer);
    }
    /// Sends, reads to the end.
    std::string talk(std::string_view bytes) {
        RawSocket socket = connect();
        socket.send(bytes);
        return socket.read_all();
    }
    static ServerOptions quick() {
        ServerOptions options;
        options.head = {.bytes = 4096, .fields = 50};
        options.body_bytes = 1024 * 1024;
        options.header_timeout = milliseconds(60);
        options.body_timeout = milliseconds(60);
        options.write_timeout = milliseconds(100);
        return options;
    }

    LoopThread thread;
    TestHandler handler{thread.loop()};
    std::unique_ptr<HttpServer> server;
    Address address;
};

std::string post(std::string_view path, std::string_view body, std::string_view fields = {}) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nhost: a\r\n" + std::string(fields) +
           "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nhost: a\r\nx-tag: t\r\n\r\n";
constexpr std::string_view kGetAnswer = "HTTP/1.1 200 OK\r\nx-tag: t\r\ncontent-length: 0\r\n\r\n";

TEST_F(HttpServerTest, KeepsTheConnection) {
    start({});
    RawSocket socket = connect();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(socket.send(kGet));
        EXPECT_EQ(socket.read_message(), kGetAnswer);
        ASSERT_TRUE(socket.send(post("/x", "body", "x-tag: u\r\n")));
        EXPECT_EQ(socket.read_message(),
                  "HTTP/1.1 200 OK\r\nx-tag: u\r\ncontent-length: 4\r\n\r\nbody");
    }
    ASSERT_TRUE(socket.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
    EXPECT_NE(socket.read_all().find("connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST_F(HttpServerTest, TakesARequestInSingleBytesAndEmptyLinesBeforeIt) {
    start({});
    RawSocket socket = connect();
    for (const char* before : {"", "\r\n", "\r\n\r\n"}) {
        ASSERT_TRUE(socket.send_bytewise(before + std::string(kGet)));
        EXPECT_EQ(socket.read_message(), kGetAnswer);
        ASSERT_TRUE(socket.send(before + std::string(kGet)));
        EXPECT_EQ(socket.read_message(), kGetAnswer);
    }
    const std::string chunked =
        "POST / HTTP/1.1\r\nhost: a\r\nx-tag: v\r\ntransfer-encoding: "
        "chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n";
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(i == 0 ? socket.send(chunked) : socket.send_bytewise(chunked));
        EXPECT_EQ(socket.read_message(),
                  "HTTP/1.1 200 OK\r\nx-tag: v\r\ncontent-length: 5\r\n\r\nabcde");
    }
}

TEST_F(HttpServerTest, TakesBodiesOfEverySize) {
    start({});
    RawSocket socket = connect();
    for (const std::size_t size :
         {1UL, 3700UL, 15'000UL, 16'300UL, 16'384UL, 20'000UL, 100'000UL, 3'000'000UL}) {
        std::string body(size, 'x');
        for (std::size_t i = 0; i < size; i += 97) body[i] = static_cast<char>('a' + i % 26);
        std::thread sender([&] { socket.send(post("/x", body, "x-tag: w\r\n")); });
        const std::string answer = socket.read_message();
        sender.join();
        EXPECT_TRUE(answer.ends_with(body) && answer.starts_with("HTTP/1.1 200 OK\r\nx-tag: w\r\n"))
            << size;
    }
}

TEST_F(HttpServerTest, SendsContinueOnlyWhenItWantsTheBody) {
    start(quick());
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send(
        "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"));
    EXPECT_EQ(socket.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(socket.send("ab"));
    EXPECT_TRUE(socket.read_message().ends_with("\r\n\r\nab"));
    ASSERT_TRUE(socket.send(
        "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"));
    EXPECT_TRUE(socket.read_all().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitSoThatTheClientCanReadIt) {
    start(quick());
    RawSocket socket = connect();
    const std::string body(8'000'000, 'x');
    std::thread sender([&] { socket.send(post("/x", body)); });
    const std::string answer = socket.read_all();
    sender.join();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 Content Too Large\r\n")) << answer;
    EXPECT_NE(answer.find("connection: close"), std::string::npos);
    EXPECT_FALSE(socket.was_reset());

    RawSocket chunked = connect();
    std::thread chunker([&] {
        chunked.send("POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7a1200\r\n");
        chunked.send(body);
    });
    EXPECT_TRUE(chunked.read_all().starts_with("HTTP/1.1 413 "));
    chunker.join();
}

TEST_F(HttpServerTest, GivesUpOnSlowHeadersAndBodies) {
    start(quick());
    EXPECT_TRUE(talk("GET / HT").starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(talk("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc")
                    .starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(talk("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n\r\nabc")
                    .starts_with("HTTP/1.1 408 "));
    EXPECT_TRUE(talk("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc")
                    .starts_with("HTTP/1.1 408 "));
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send(
        "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"));
    EXPECT_NE(socket.read_all().find("HTTP/1.1 408 "), std::string::npos);
}

TEST_F(HttpServerTest, ClosesIdleConnectionsWithoutAWord) {
    ServerOptions options;
    options.idle_timeout = milliseconds(50);
    start(options);
    EXPECT_EQ(talk(""), "");
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send(kGet));
    EXPECT_EQ(socket.read_all(), kGetAnswer);
}

TEST_F(HttpServerTest, AnswersTheFirstOfPipelinedRequestsAndCloses) {
    start({});
    const std::string answer = talk(std::string(kGet) + std::string(kGet) + std::string(kGet));
    EXPECT_EQ(answer,
              "HTTP/1.1 200 OK\r\nx-tag: t\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    EXPECT_EQ(handler.handled, 1);
    const std::string posted = talk(post("/x", "one") + post("/x", "two"));
    EXPECT_TRUE(posted.ends_with("connection: close\r\n\r\none")) << posted;
    const std::string chunked =
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    EXPECT_TRUE(talk(chunked + chunked).ends_with("connection: close\r\n\r\nx"));
    EXPECT_EQ(handler.handled, 3);
}

TEST_F(HttpServerTest, RefusesMalformedRequestsAlsoBehindGoodOnes) {
    start(quick());
    EXPECT_TRUE(talk("GET / HTTP/1.1\n\n").starts_with("HTTP/1.1 400 "));
    EXPECT_TRUE(
        talk("GET / HTTP/1.1\r\na: " + std::string(5000, 'x')).starts_with("HTTP/1.1 431 "));
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send(kGet));
    EXPECT_EQ(socket.read_message(), kGetAnswer);
    ASSERT_TRUE(socket.send("NONSENSE\r\n\r\n"));
    EXPECT_TRUE(socket.read_all().starts_with("HTTP/1.1 400 "));
    RawSocket after_head = connect();
    ASSERT_TRUE(after_head.send("HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n"));
    EXPECT_TRUE(after_head.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
    ASSERT_TRUE(after_head.send("NONSENSE\r\n\r\n"));
    EXPECT_NE(after_head.read_all().find("malformed"), std::string::npos);
    RawSocket half = connect();
    ASSERT_TRUE(half.send("GET / HTTP/1.1\r\nhost"));
    half.shutdown_write();
    EXPECT_TRUE(half.read_all().starts_with("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, StreamsInChunksAndPlainlyToOldClients) {
    start({});
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send("GET /stream HTTP/1.1\r\nhost: a\r\n\r\n"));
    const std::string event = "9\r\ndata: x\n\n\r\n";
    EXPECT_EQ(socket.read_until("0\r\n\r\n"),
              "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + event + event + event +
                  "0\r\n\r\n");
    ASSERT_TRUE(socket.send("HEAD /stream HTTP/1.1\r\nhost: a\r\n\r\n"));
    EXPECT_EQ(socket.read_until("\r\n\r\n"),
              "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    ASSERT_TRUE(socket.send("GET /stream HTTP/1.0\r\n\r\n"));
    EXPECT_EQ(socket.read_all(),
              "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndata: x\n\ndata: x\n\ndata: x\n\n");
}

TEST_F(HttpServerTest, ACutStreamHasNoEnd) {
    start({});
    for (const char* path : {"/cut", "/forget"}) {
        const std::string answer =
            talk("GET " + std::string(path) + " HTTP/1.1\r\nhost: a\r\n\r\n");
        EXPECT_TRUE(answer.ends_with("data: x\n\n\r\n")) << answer;
        RawSocket old = connect();
        ASSERT_TRUE(old.send("GET " + std::string(path) + " HTTP/1.0\r\n\r\n"));
        old.read_all();
        EXPECT_TRUE(old.was_reset()) << "a plain end would look like the end of the answer";
    }
}

TEST_F(HttpServerTest, AHandlerThatThrowsOrIsSilentCostsOnlyItsRequest) {
    start({});
    EXPECT_TRUE(talk("GET /throw HTTP/1.1\r\nhost: a\r\n\r\n").starts_with("HTTP/1.1 500 "));
    EXPECT_TRUE(talk("GET /silent HTTP/1.1\r\nhost: a\r\n\r\n").starts_with("HTTP/1.1 500 "));
    EXPECT_TRUE(eventually([&] { return thread.loop().failed_tasks() == 1; }));
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send(kGet));
    EXPECT_EQ(socket.read_message(), kGetAnswer);
}

TEST_F(HttpServerTest, ForgesNoHeaders) {
    start({});
    RawSocket socket = connect();
    ASSERT_TRUE(socket.send("GET /split HTTP/1.1\r\nhost: a\r\n\r\n"));
    EXPECT_EQ(socket.read_message(),
              "HTTP/1.1 200 OK\r\nx-good: b\r\ncontent-length: 5\r\n\r\nsplit");
}

TEST_F(HttpServerTest, AHangUpInterruptsTheRequestAtOnce) {
    start({});
    for (const int how : {0, 1, 2}) {
        handler.reason = -1;
        RawSocket socket = connect();
        ASSERT_TRUE(socket.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n"));
        socket.read_until("first\r\n");
        // Also behind bytes that came too early.
        if (how == 2) ASSERT_TRUE(socket.send("x"));
        const auto hung_up = std::chrono::steady_clock::now().time_since_epoch().count();
        if (how == 0) socket.shutdown_write();
        if (how == 1) socket.abort();
        if (how == 2) socket.close();
        ASSERT_TRUE(eventually([&] { return handler.reason >= 0; })) << how;
        EXPECT_EQ(handler.reason, static_cast<int>(Deadline::Reason::kClientGone));
        // The promise is 100 ms; a loaded test machine gets more.
        EXPECT_LT(handler.interrupted_at - hung_up, 500'000'000);
    }
}

TEST_F(HttpServerTest, AClientThatDoesNotReadCostsNoMemoryAndIsCutInTime) {
    start(quick());
    RawSocket socket = connect(4096);
    ASSERT_TRUE(socket.send("GET /flood HTTP/1.1\r\nhost: a\r\n\r\n"));
    EXPECT_TRUE(eventually([&] { return handler.finished == 1; }));
    EXPECT_LT(handler.flooded, 32U * 1024 * 1024) << "only what the kernel buffers";
    EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST_F(HttpServerTest, InterruptsAnAnswerThatNobodyReads) {
    start({});
    RawSocket socket = connect(4096);
    ASSERT_TRUE(socket.send("GET /flood HTTP/1.1\r\nhost: a\r\n\r\n"));
    std::uint64_t before = 1;
    EXPECT_TRUE(eventually([&] {
        const std::uint64_t now = handler.flooded;
        const bool stalled = now == std::exchange(before, now) && now > 0;
        std::this_thread::sleep_for(milliseconds(5));
        return stalled;
    }));
    stop();  // the write time-out is 30 s
    EXPECT_EQ(handler.finished, 1);
}

TEST_F(HttpServerTest, DrainsIdleConnectionsAtOnceAndBusyOnesWhenTheyAreDone) {
    start({});
    RawSocket idle = connect();
    ASSERT_TRUE(idle.send(kGet));
    EXPECT_EQ(idle.read_message(), kGetAnswer);
    RawSocket busy = connect();
    ASSERT_TRUE(busy.send("GET /slow-end HTTP/1.1\r\nhost: a\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return handler.waiting.load(); }));
    thread.run([&] { server->stop_accepting(); });
    EXPECT_EQ(idle.read_all(), "");
    EXPECT_FALSE(idle.timed_out());
    EXPECT_FALSE(connect().open());
    EXPECT_TRUE(eventually([&] { return server->connections() == 1; }));
    thread.run([&] { handler.gate->open(); });
    EXPECT_EQ(busy.read_all(),
              "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nlate");
}

TEST_F(HttpServerTest, InterruptsWhatIsLeftAfterTheGrace) {
    start({});
    RawSocket streaming = connect();
    ASSERT_TRUE(streaming.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n"));
    streaming.read_until("first\r\n");
    RawSocket uploading = connect();
    ASSERT_TRUE(uploading.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc"));
    ASSERT_TRUE(eventually([&] { return handler.handled == 2; }));
    thread.run([&] {
        server->stop_accepting();
        server->interrupt_all();
    });
    EXPECT_EQ(streaming.read_all(), "4\r\nlast\r\n0\r\n\r\n");
    EXPECT_EQ(handler.reason, static_cast<int>(Deadline::Reason::kShutdown));
    EXPECT_TRUE(uploading.read_all().starts_with("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, HasALimitOfConnections) {
    ServerOptions options;
    options.connections = 2;
    start(options);
    RawSocket a = connect();
    RawSocket b = connect();
    ASSERT_TRUE(eventually([&] { return server->connections() == 2; }));
    const std::string refused = talk(kGet);
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << refused;
    EXPECT_NE(refused.find("retry-after: 1"), std::string::npos);
    EXPECT_EQ(handler.handled, 0);
    b.close();
    ASSERT_TRUE(eventually([&] { return server->connections() == 1; }));
    RawSocket c = connect();
    ASSERT_TRUE(c.send(kGet));
    EXPECT_EQ(c.read_message(), kGetAnswer);
}

/// Takes one level of backslash escapes off.
std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out.push_back(text[i]);
            continue;
        }
        switch (const char c = text[++i]; c) {
            case 'r': out.push_back('\r'); break;
            case 'n': out.push_back('\n'); break;
            case 't': out.push_back('\t'); break;
            case 'v': out.push_back('\v'); break;
            case 'f': out.push_back('\f'); break;
            case 'x':
                out.push_back(
                    static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
                i += 2;
                break;
            default: out.push_back(c);
        }
    }
    return out;
}

TEST_F(HttpServerTest, KnownDiscrepanciesAreRefusedOrReadOnce) {
    const char* data = std::getenv("LEEWAY_TEST_DATA");
    const std::string root =
        data != nullptr ? data : std::string(LEEWAY_SOURCE_DIR) + "/../shared/data";
    std::ifstream file(root + "/hostile-input/http-discrepancies/payloads.jsonl");
    if (!file) GTEST_SKIP() << "no public test data in " << root << " (set LEEWAY_TEST_DATA)";
    start(quick());
    std::string json;
    int cases = 0;
    while (std::getline(file, json)) {
        constexpr std::string_view kKey = "\"payload\": \"";
        const auto from = json.find(kKey);
        const auto to = json.rfind('"');
        if (from == std::string::npos || to <= from) continue;
        const std::string bytes = unescape(
            unescape(std::string_view(json).substr(from + kKey.size(), to - from - kKey.size())));
        ++cases;
        const int before = handler.handled;
        RawSocket socket = connect();
        socket.send(bytes);
        socket.shutdown_write();
        const std::string answer = socket.read_all();
        EXPECT_FALSE(socket.timed_out()) << json;
        EXPECT_LE(handler.handled - before, 1) << json;
        // A message of ours may name a version, so an answer counts by its status.
        std::size_t answers = 0;
        for (const char* status : {"HTTP/1.1 2", "HTTP/1.1 4", "HTTP/1.1 5"}) {
            for (auto at = answer.find(status); at != std::string::npos;
                 at = answer.find(status, at + 1))
                ++answers;
        }
        EXPECT_LE(answers, 1U) << json << "\n" << answer;
        if (answer.starts_with("HTTP/1.1 200") && std::getenv("LEEWAY_SHOW_ACCEPTED") != nullptr) {
            std::printf("accepted: %s\n", json.c_str());
        }
    }
    EXPECT_GT(cases, 50);
}

}  // namespace
}  // namespace leeway::net
