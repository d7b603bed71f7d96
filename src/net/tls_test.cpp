#include "net/client_testing.hpp"
#include "net/tls_testing.hpp"

#include <gtest/gtest.h>

#include <mutex>

namespace leeway::net {
namespace {

using testing::Client;
using testing::eventually;
using testing::Identity;
using testing::make_identity;
using testing::origin_of;
using testing::RawServer;
using testing::RawSocket;
using testing::Reply;
using testing::TemporaryFile;
using testing::TlsPeer;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An authority, and a server with a certificate of it for this machine.
class TlsTest : public ::testing::Test {
protected:
    /// Serves requests until the client leaves.
    void serve(RawSocket& socket, const Identity& identity) {
        TlsPeer peer(socket, identity);
        {
            const std::lock_guard lock(mutex_);
            asked_for_ = peer.asked_for();
        }
        while (!peer.read_until("{}").empty()) peer.send(kOk);
    }
    [[nodiscard]] Origin trusting(const Address& address, const std::string& ca_file) const {
        Origin origin = origin_of(address, "https");
        auto tls = make_tls_context(ca_file);
        EXPECT_TRUE(tls) << tls.error().text();
        if (tls) origin.tls = std::move(*tls);
        return origin;
    }
    [[nodiscard]] std::string asked_for() {
        const std::lock_guard lock(mutex_);
        return asked_for_;
    }
    /// The error of a call to a server that is `identity`, by a client that trusts the authority.
    std::string refusal_of(const Identity& identity, Error* whole = nullptr) {
        RawServer server([&](RawSocket& socket, int) { serve(socket, identity); });
        const Origin origin = trusting(server.address(), ca_file_.path());
        Client client;
        const Reply reply = client.ask(origin);
        EXPECT_EQ(reply.reason(), "upstream_tls_failed");
        if (whole != nullptr && reply.error) *whole = *reply.error;
        return reply.message();
    }

    const Identity authority_ = make_identity({.name = "Test Authority"});
    const TemporaryFile ca_file_{authority_.pem()};
    const Identity here_ = make_identity(
        {.name = "here", .for_hosts = "IP:127.0.0.1,DNS:localhost", .signer = &authority_});
    std::mutex mutex_;
    std::string asked_for_;
};

TEST_F(TlsTest, TheAuthorityOfTheCaFileIsTrustedAndTheConnectionReused) {
    RawServer server([&](RawSocket& socket, int) { serve(socket, here_); });
    const Origin origin = trusting(server.address(), ca_file_.path());
    Client client;
    for (int i = 0; i < 3; ++i) {
        const Reply reply = client.ask(origin);
        EXPECT_TRUE(reply.whole()) << reply.message();
        EXPECT_EQ(reply.body, "ok");
        EXPECT_EQ(reply.reused, i > 0);
    }
    EXPECT_EQ(asked_for(), "") << "an address is no server name";
    EXPECT_EQ(server.accepted(), 1);
}

TEST_F(TlsTest, TheHostIsAskedForByItsName) {
    RawServer server([&](RawSocket& socket, int) { serve(socket, here_); });
    Address address = server.address();
    address.host = "localhost";
    const Origin origin = trusting(address, ca_file_.path());
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_TRUE(reply.whole()) << reply.message();
    EXPECT_EQ(asked_for(), "localhost");
}

TEST_F(TlsTest, AnAuthorityThatNobodyKnowsIsRefused) {
    RawServer server([&](RawSocket& socket, int) { serve(socket, here_); });
    const Origin origin = trusting(server.address(), "");
    Client client;
    const Reply reply = client.ask(origin);
    ASSERT_TRUE(reply.error);
    EXPECT_EQ(reply.reason(), "upstream_tls_failed");
    EXPECT_EQ(reply.message(), "TLS with " + server.address().text() +
                                   " failed: its certificate is not accepted: unable to get local "
                                   "issuer certificate");
    EXPECT_NE(reply.error->hint.find("ca_file"), std::string::npos) << reply.error->hint;
    EXPECT_EQ(client.idle(), 0U);
}

TEST_F(TlsTest, ACertificateThatSignedItselfIsRefused) {
    const Identity self = make_identity({.name = "self", .for_hosts = "IP:127.0.0.1"});
    const std::string message = refusal_of(self);
    EXPECT_NE(message.find("not accepted: self-signed certificate"), std::string::npos) << message;
}

TEST_F(TlsTest, ACertificateForAnotherHostIsRefused) {
    Error error;
    const std::string address = refusal_of(
        make_identity({.name = "x", .for_hosts = "IP:127.0.0.2", .signer = &authority_}), &error);
    EXPECT_NE(address.find("IP address mismatch"), std::string::npos) << address;
    EXPECT_NE(error.hint.find("base_url"), std::string::npos) << error.hint;

    const Identity other = make_identity(
        {.name = "localhost", .for_hosts = "DNS:other.example", .signer = &authority_});
    RawServer server([&](RawSocket& socket, int) { serve(socket, other); });
    Address named = server.address();
    named.host = "localhost";
    const Origin origin = trusting(named, ca_file_.path());
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_NE(reply.message().find("hostname mismatch"), std::string::npos) << reply.message();
}

TEST_F(TlsTest, ACertificateThatHasExpiredIsRefused) {
    const std::string message = refusal_of(make_identity(
        {.name = "old", .for_hosts = "IP:127.0.0.1", .signer = &authority_, .ends_in_s = -60}));
    EXPECT_NE(message.find("certificate has expired"), std::string::npos) << message;
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsACut) {
    for (const bool ends : {false, true}) {
        RawServer server([&](RawSocket& socket, int) {
            TlsPeer peer(socket, here_);
            peer.read_until("{}");
            peer.send("HTTP/1.1 200 OK\r\n\r\nall of it?");
            if (ends) peer.end();
        });
        const Origin origin = trusting(server.address(), ca_file_.path());
        Client client;
        const Reply reply = client.ask(origin);
        EXPECT_EQ(reply.body, "all of it?");
        EXPECT_EQ(reply.reason(), ends ? "" : "upstream_closed");
    }
}

TEST_F(TlsTest, AnIdleConnectionThatTheUpstreamEndsLeavesThePool) {
    RawServer server([&](RawSocket& socket, int) {
        TlsPeer peer(socket, here_);
        peer.read_until("{}");
        peer.send(kOk);
        peer.end();
    });
    const Origin origin = trusting(server.address(), ca_file_.path());
    Client client;
    for (int i = 1; i <= 2; ++i) {
        const Reply reply = client.ask(origin);
        EXPECT_TRUE(reply.whole()) << reply.message();
        EXPECT_EQ(server.accepted(), i);
        EXPECT_TRUE(eventually([&] { return client.idle() == 0; }));
    }
}

TEST_F(TlsTest, AServerThatSpeaksNoTlsIsToldAsSuch) {
    RawServer server([](RawSocket& socket, int) {
        socket.receive();
        socket.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        socket.read_all();
    });
    const Origin origin = trusting(server.address(), ca_file_.path());
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_EQ(reply.reason(), "upstream_tls_failed");
    EXPECT_NE(reply.error->hint.find("http://"), std::string::npos) << reply.error->hint;
}

TEST_F(TlsTest, AHandshakeThatHangsIsEndedByTheDeadline) {
    RawServer server([](RawSocket& socket, int) {
        socket.read_all();  // and says nothing
    });
    Origin origin = trusting(server.address(), ca_file_.path());
    origin.timeouts.connect = std::chrono::milliseconds(30);
    Client client;
    const Reply reply = client.ask(origin);
    EXPECT_EQ(reply.message(), "the upstream could not be connected to within 30 ms");
}

TEST_F(TlsTest, ACaFileThatIsNoneIsAnErrorOfTheConfiguration) {
    const TemporaryFile nonsense("not a certificate");
    for (const std::string& path : {nonsense.path(), nonsense.path() + ".missing"}) {
        const auto context = make_tls_context(path);
        ASSERT_FALSE(context);
        EXPECT_EQ(context.error().code, ErrorCode::kConfig);
        EXPECT_NE(context.error().message.find(path), std::string::npos) << context.error().message;
        EXPECT_FALSE(context.error().hint.empty());
    }
}

}  // namespace
}  // namespace leeway::net
