#include "net/client_testing.hpp"
#include "net/http_client.hpp"

#include <gtest/gtest.h>

namespace leeway::net {
namespace {

using testing::Client;
using testing::eventually;
using testing::origin_of;
using testing::PendingCall;
using testing::RawServer;
using testing::RawSocket;
using testing::Reply;
using testing::Signal;

/// What the client makes of these bytes, sent at once and one by one; the server then closes.
std::vector<Reply> replies_to(std::string_view bytes, const std::string& method = "POST") {
    std::vector<Reply> out;
    for (const bool bytewise : {false, true}) {
        RawServer server([&](RawSocket& socket, int) {
            socket.read_until("\r\n\r\n");
            bytewise ? socket.send_bytewise(bytes) : socket.send(bytes);
            socket.shutdown_write();
            socket.read_all();
        });
        const Origin origin = origin_of(server.address());
        Client client;
        auto call = std::make_shared<PendingCall>();
        call->origin = &origin;
        call->method = method;
        if (method != "POST") call->body.clear();
        out.push_back(client.begin(call)->reply());
    }
    return out;
}

TEST(UpstreamAnswer, IsReadHoweverItIsFramed) {
    struct Case {
        std::string_view bytes;
        int status;
        std::string_view body;
    };
    const Case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
        {"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, ""},
        {"HTTP/1.1 500 Oh no\r\ncontent-length: 2\r\n\r\nno", 500, "no"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\n"
         "x-trailer: 1\r\n\r\n",
         200, "hello!"},
        {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
         "HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nmade",
         201, "made"}};
    for (const Case& c : cases) {
        for (const Reply& reply : replies_to(c.bytes)) {
            EXPECT_FALSE(reply.error) << c.bytes << "\n" << reply.message();
            EXPECT_EQ(reply.status, c.status) << c.bytes;
            EXPECT_EQ(reply.body, c.body) << c.bytes;
        }
    }
}

TEST(UpstreamAnswer, OfAHeadRequestHasNoBody) {
    for (const Reply& reply : replies_to("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "HEAD")) {
        EXPECT_TRUE(reply.whole()) << reply.message();
        EXPECT_EQ(reply.body, "");
    }
}

TEST(UpstreamAnswer, ThatIsCutIsAnErrorAndNeverAnEnd) {
    const std::string_view cases[] = {
        "",
        "HTTP/1.1 200 OK\r\ncontent-len",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    };
    for (const std::string_view bytes : cases) {
        for (const Reply& reply : replies_to(bytes)) {
            EXPECT_EQ(reply.reason(), "upstream_closed") << bytes;
            EXPECT_EQ(reply.message(), "the upstream closed the connection early") << bytes;
        }
    }
}

TEST(UpstreamAnswer, ThatIsNotHttpIsToldAsSuch) {
    const std::string_view cases[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "{\"json\": \"without a head\"}",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    };
    for (const std::string_view bytes : cases) {
        for (const Reply& reply : replies_to(bytes)) {
            EXPECT_EQ(reply.reason(), "upstream_not_http") << bytes << "\n" << reply.message();
            EXPECT_EQ(reply.status, 0) << bytes;
        }
    }
}

TEST(UpstreamAnswer, WithChunksThatAreNoneIsAnError) {
    for (const char* chunk : {"x\r\n", "5\r\nhelloXX", "ffffffffffffffffff\r\n", "-1\r\n"}) {
        const std::string bytes =
            std::string("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n") + chunk;
        for (const Reply& reply : replies_to(bytes)) {
            EXPECT_EQ(reply.reason(), "upstream_bad_framing") << bytes << "\n" << reply.message();
        }
    }
}

TEST(UpstreamAnswer, ThatEndsWithAResetIsCutEvenWhereTheEndWouldBeTheEnd) {
    Signal reset;
    RawServer server([&](RawSocket& socket, int) {
        socket.read_message();
        socket.send("HTTP/1.1 200 OK\r\n\r\npart");
        reset.wait();
        socket.abort();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    const auto call = client.begin(origin);
    ASSERT_TRUE(eventually([&] { return call->seen == 4; }));
    reset.give();
    const Reply reply = call->reply();
    EXPECT_EQ(reply.message(), "the upstream broke the connection");
    EXPECT_EQ(reply.body, "part");
}

TEST(UpstreamAnswer, MayComeBeforeTheRequestWasRead) {
    RawServer server([](RawSocket& socket, int) {
        socket.read_until("\r\n\r\n");
        socket.send("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
        socket.shutdown_write();
        socket.read_all();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    const Reply reply = client.ask(origin, std::string(8'000'000, 'x'));
    EXPECT_EQ(reply.status, 413) << reply.message();
    EXPECT_EQ(reply.body, "no");
}

TEST(UpstreamAnswer, OfMegabytesArrivesUnchanged) {
    std::string body(3'000'000, 'x');
    for (std::size_t i = 0; i < body.size(); i += 89) body[i] = static_cast<char>('a' + i % 26);
    RawServer server([&](RawSocket& socket, int) {
        socket.read_message();
        socket.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for (std::size_t at = 0; at < body.size(); at += 1'000'000) {
            socket.send("f4240\r\n" + body.substr(at, 1'000'000) + "\r\n");
        }
        socket.send("0\r\n\r\n");
        socket.receive();
    });
    const Origin origin = origin_of(server.address());
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_TRUE(reply.whole()) << reply.message();
    EXPECT_EQ(reply.body, body);
    EXPECT_EQ(client.idle(), 1U);
}

}  // namespace
}  // namespace leeway::net
