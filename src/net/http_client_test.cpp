#include "net/http_client.hpp"

#include "net/client_testing.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace leeway::net {
namespace {

using std::chrono::milliseconds;
using testing::Client;
using testing::eventually;
using testing::origin_of;
using testing::PendingCall;
using testing::RawServer;
using testing::RawSocket;
using testing::Reply;
using testing::Signal;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every request of a connection with `answer`.
void serve_all(RawSocket& socket, std::string_view answer) {
    while (!socket.read_message().empty()) {
        if (!socket.send(answer)) return;
    }
}

// ------------------------------------------------------------------------------------------- pool

TEST(UpstreamPool, ReusesTheConnectionThatTheUpstreamKeeps) {
    RawServer server([](RawSocket& socket, int) { serve_all(socket, kOk); });
    const Origin origin = origin_of(server.address());
    Client client;
    for (int i = 0; i < 3; ++i) {
        const Reply reply = client.ask(origin);
        EXPECT_TRUE(reply.whole()) << reply.message();
        EXPECT_EQ(reply.body, "ok");
        EXPECT_EQ(reply.reused, i > 0);
    }
    EXPECT_EQ(server.accepted(), 1);
    EXPECT_EQ(client.idle(), 1U);
}

TEST(UpstreamPool, KeepsNoConnectionThatMayNotBeUsedAgain) {
    const std::string_view answers[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more than was announced"};
    for (const std::string_view answer : answers) {
        RawServer server([&](RawSocket& socket, int) { serve_all(socket, answer); });
        const Origin origin = origin_of(server.address());
        Client client;
        for (int i = 0; i < 2; ++i) EXPECT_EQ(client.ask(origin).body, "ok") << answer;
        EXPECT_EQ(server.accepted(), 2) << answer;
        EXPECT_EQ(client.idle(), 0U) << answer;
    }
}

TEST(UpstreamPool, AnIdleConnectionLeavesWhenTheUpstreamClosesItOrSpeaksUnasked) {
    for (const bool speaks : {false, true}) {
        RawServer server([&](RawSocket& socket, int) {
            socket.read_message();
            socket.send(kOk);
            if (!speaks) return;
            socket.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
            socket.receive();
        });
        const Origin origin = origin_of(server.address());
        Client client;
        for (int i = 1; i <= 2; ++i) {
            const Reply reply = client.ask(origin);
            EXPECT_TRUE(reply.whole()) << reply.message();
            EXPECT_FALSE(reply.reused);
            EXPECT_EQ(server.accepted(), i);
            EXPECT_TRUE(eventually([&] { return client.idle() == 0; }));
        }
    }
}

TEST(UpstreamPool, ARequestThatMetADeadConnectionIsSentOnceMoreOnANewOne) {
    RawServer server([](RawSocket& socket, int index) {
        socket.read_message();
        socket.send(kOk);
        if (index == 0) {
            socket.read_message();  // took the second request, and is gone
        } else {
            serve_all(socket, kOk);
        }
    });
    const Origin origin = origin_of(server.address());
    Client client;
    ASSERT_TRUE(client.ask(origin).whole());
    const Reply reply = client.ask(origin);
    EXPECT_TRUE(reply.whole()) << reply.message();
    EXPECT_FALSE(reply.reused);
    EXPECT_EQ(server.accepted(), 2);
}

TEST(UpstreamPool, ItIsSentOnceMoreOnlyOnce) {
    RawServer server([](RawSocket& socket, int index) {
        socket.read_message();
        if (index > 0) return;
        socket.send(kOk);
        socket.read_message();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    ASSERT_TRUE(client.ask(origin).whole());
    EXPECT_EQ(client.ask(origin).reason(), "upstream_closed");
    EXPECT_EQ(server.accepted(), 2);
    EXPECT_EQ(client.ask(origin).reason(), "upstream_closed") << "a new connection is no excuse";
    EXPECT_EQ(server.accepted(), 3);
}

TEST(UpstreamPool, ItIsNotSentAgainWhenAByteOfTheAnswerCame) {
    RawServer server([](RawSocket& socket, int) {
        socket.read_message();
        socket.send(kOk);
        socket.read_message();
        socket.send("H");
    });
    const Origin origin = origin_of(server.address());
    Client client;
    ASSERT_TRUE(client.ask(origin).whole());
    EXPECT_EQ(client.ask(origin).reason(), "upstream_closed");
    EXPECT_EQ(server.accepted(), 1);
}

TEST(UpstreamPool, RequestsBeyondTheLimitWaitForAConnection) {
    Signal go;
    std::atomic<int> requests{0};
    RawServer server([&](RawSocket& socket, int) {
        while (!socket.read_message().empty()) {
            ++requests;
            go.wait();
            socket.send(kOk);
        }
    });
    Origin origin = origin_of(server.address());
    origin.max_connections = 1;
    Client client;
    const auto first = client.begin(origin);
    ASSERT_TRUE(eventually([&] { return requests == 1; }));
    const auto second = client.begin(origin);
    const auto third = client.begin(origin);
    EXPECT_EQ(client.idle(), 0U);  // a round through the loop: both have begun to wait
    EXPECT_EQ(requests, 1);
    go.give();
    EXPECT_FALSE(first->reply().reused);
    EXPECT_TRUE(second->reply().reused);
    EXPECT_TRUE(third->reply().reused);
    EXPECT_EQ(server.accepted(), 1);
    EXPECT_EQ(requests, 3);
}

TEST(UpstreamPool, AFreedSlotGoesToTheNextThatWaits) {
    Signal go;
    RawServer server([&](RawSocket& socket, int index) {
        socket.read_message();
        if (index == 0) go.wait();
        socket.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    });
    Origin origin = origin_of(server.address());
    origin.max_connections = 1;
    Client client;
    const auto first = client.begin(origin);
    ASSERT_TRUE(eventually([&] { return server.accepted() == 1; }));
    const auto second = client.begin(origin);
    const auto third = client.begin(origin);
    client.interrupt(second, Deadline::Reason::kClientGone);
    EXPECT_EQ(second->reply().error->code, ErrorCode::kClientGone);
    go.give();
    EXPECT_TRUE(first->reply().whole());
    EXPECT_TRUE(third->reply().whole());
    EXPECT_EQ(server.accepted(), 2);
}

TEST(UpstreamPool, TheDeadlineEndsTheWaitForAConnection) {
    Signal go;
    RawServer server([&](RawSocket& socket, int) {
        while (!socket.read_message().empty()) {
            go.wait();
            socket.send(kOk);
        }
    });
    Origin origin = origin_of(server.address());
    origin.max_connections = 1;
    Origin hasty = origin;
    hasty.timeouts.connect = milliseconds(20);
    Client client;
    const auto first = client.begin(origin);
    ASSERT_TRUE(eventually([&] { return server.accepted() == 1; }));
    const Reply late = client.ask(hasty);
    ASSERT_TRUE(late.error);
    EXPECT_EQ(late.error->code, ErrorCode::kUpstreamTimeout);
    EXPECT_EQ(late.message(), "the upstream could not be connected to within 20 ms");
    go.give();
    EXPECT_TRUE(first->reply().whole());
    EXPECT_TRUE(client.ask(origin).reused);
}

// --------------------------------------------------------------------------------- time and hang-up

TEST(UpstreamDeadline, EachPhaseHasItsLimitAndIsNamed) {
    RawServer server([](RawSocket& socket, int) {
        const std::string request = socket.read_message();
        if (request.find("stream") != std::string::npos) {
            socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
        }
        EXPECT_FALSE(socket.receive());
        EXPECT_FALSE(socket.timed_out()) << "the gateway left the upstream at work";
    });
    const Timeouts patient;
    const auto limited = [&](std::chrono::milliseconds Timeouts::* phase) {
        Origin origin = origin_of(server.address());
        origin.timeouts = patient;
        origin.timeouts.*phase = milliseconds(30);
        return origin;
    };
    Client client;
    const Origin first_byte = limited(&Timeouts::first_byte);
    const Reply no_answer = client.ask(first_byte);
    EXPECT_EQ(no_answer.message(), "the upstream did not begin to answer within 30 ms");
    EXPECT_EQ(no_answer.status, 0);

    const Origin chunks = limited(&Timeouts::between_chunks);
    const Reply stalled = client.ask(chunks, "stream");
    EXPECT_EQ(stalled.message(), "the upstream sent no further data within 30 ms");
    EXPECT_EQ(stalled.body, "part");

    const Origin total = limited(&Timeouts::total);
    for (const char* body : {"{}", "stream"}) {
        const Reply late = client.ask(total, body);
        EXPECT_EQ(late.message(), "the upstream did not finish its answer within 30 ms");
        EXPECT_EQ(late.error->code, ErrorCode::kUpstreamTimeout);
        EXPECT_FALSE(late.error->hint.empty());
    }
    EXPECT_EQ(client.idle(), 0U);
}

TEST(UpstreamDeadline, AConnectionThatDoesNotComeAboutIsGivenUp) {
    // A listener whose queue is full answers no further SYN.
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&at), size), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
    std::vector<int> queued;
    for (int i = 0; i < 8; ++i) {
        queued.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        (void)::connect(queued.back(), reinterpret_cast<const sockaddr*>(&at), size);
    }
    Address address;
    address.host = "127.0.0.1";
    address.port = ntohs(at.sin_port);
    Origin origin = origin_of(address);
    origin.timeouts.connect = milliseconds(30);
    {
        Client client;
        const Reply reply = client.ask(origin);
        EXPECT_EQ(reply.message(), "the upstream could not be connected to within 30 ms");
        EXPECT_EQ(client.idle(), 0U);
    }
    for (const int fd : queued) ::close(fd);
    ::close(listener);
}

TEST(UpstreamDeadline, AHangUpOfTheClientStopsTheUpstreamAtOnce) {
    std::atomic<bool> stopped{false};
    RawServer server([&](RawSocket& socket, int) {
        const std::string request = socket.read_message();
        if (request.find("stream") != std::string::npos) {
            socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
        }
        socket.receive();
        stopped = !socket.timed_out();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    for (const bool streams : {false, true}) {
        stopped = false;
        const int before = server.accepted();
        const auto call = client.begin(origin, streams ? "stream" : "{}");
        ASSERT_TRUE(eventually(
            [&] { return streams ? call->seen == 4 : server.accepted() == before + 1; }));
        client.interrupt(call, Deadline::Reason::kClientGone);
        const Reply reply = call->reply();
        ASSERT_TRUE(reply.error);
        EXPECT_EQ(reply.error->code, ErrorCode::kClientGone);
        EXPECT_TRUE(eventually([&] { return stopped.load(); }));
    }
    EXPECT_EQ(client.idle(), 0U);
}

TEST(UpstreamDeadline, ACallThatIsDroppedHalfwayClosesItsConnection) {
    std::atomic<bool> closed{false};
    RawServer server([&](RawSocket& socket, int) {
        socket.read_message();
        socket.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
        socket.receive();
        closed = !socket.timed_out();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    auto call = std::make_shared<PendingCall>();
    call->origin = &origin;
    call->reads = false;
    EXPECT_EQ(client.begin(call)->reply().status, 200);
    EXPECT_TRUE(eventually([&] { return closed.load(); }));
    EXPECT_EQ(client.idle(), 0U);
}

// ----------------------------------------------------------------------------------------- address

TEST(UpstreamAddress, NobodyThereIsAnErrorThatNamesIt) {
    Address address;
    {
        const RawServer server([](RawSocket&, int) {});
        address = server.address();
    }
    const Origin origin = origin_of(address);
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_EQ(reply.reason(), "upstream_unreachable");
    EXPECT_EQ(reply.message(),
              "cannot connect to the upstream at " + address.text() + ": Connection refused");
    EXPECT_EQ(reply.error->code, ErrorCode::kUpstreamInvalid);
}

TEST(UpstreamAddress, MayBeAUnixSocket) {
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("leeway-client-" + std::to_string(::getpid()) + ".sock"))
                                 .string();
    std::filesystem::remove(path);
    std::string request;
    {
        RawServer server(
            [&](RawSocket& socket, int) {
                request = socket.read_message();
                socket.send(kOk);
                serve_all(socket, kOk);
            },
            path);
        const Origin origin = origin_of(server.address());
        Client client;
        EXPECT_EQ(client.ask(origin).body, "ok");
        EXPECT_TRUE(client.ask(origin).reused);
    }
    EXPECT_EQ(request,
              "POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
              "content-length: 2\r\n\r\n{}");
    std::filesystem::remove(path);
    const Origin gone = origin_of(*parse_address("unix:" + path));
    Client client;
    EXPECT_EQ(client.ask(gone).message(),
              "cannot connect to the upstream at unix:" + path + ": No such file or directory");
}

}  // namespace
}  // namespace leeway::net
