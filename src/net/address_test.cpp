#include "net/address.hpp"

#include <gtest/gtest.h>

namespace leeway::net {
namespace {

TEST(Address, ParsesWhatItPrints) {
    for (const char* text :
         {"127.0.0.1:8484", "[::1]:8484", "localhost:80", "unix:/run/leeway.sock"}) {
        const auto address = parse_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->text(), text);
        EXPECT_TRUE(address->is_loopback()) << text;
    }
}

TEST(Address, RefusesWhatIsNone) {
    for (const char* text : {"", ":", "host", "host:", "host:x", "host:65536", "::1:80", "[::1]",
                             "[::1]80", "[::1", "a b:1", "host:-1", "host:+1", "unix:", "[]:80",
                             ":80", "host:1:2", "ho/st:1", "127.0.0.1:8484 "}) {
        EXPECT_FALSE(parse_address(text)) << text;
    }
    EXPECT_FALSE(parse_address("unix:" + std::string(108, 'x')));
    EXPECT_TRUE(parse_address("unix:" + std::string(107, 'x')));
}

TEST(Address, KnowsWhatOtherMachinesReach) {
    for (const char* text :
         {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1", "127.evil.example:1"}) {
        const auto address = parse_address(text);
        ASSERT_TRUE(address) << text;
        EXPECT_FALSE(address->is_loopback()) << text;
    }
}

TEST(BaseUrl, IsSplit) {
    const auto https = parse_base_url("https://api.openai.com/v1/");
    ASSERT_TRUE(https);
    EXPECT_TRUE(https->tls);
    EXPECT_EQ(https->address.host, "api.openai.com");
    EXPECT_EQ(https->address.port, 443);
    EXPECT_EQ(https->path, "/v1");
    EXPECT_EQ(https->host_header, "api.openai.com");

    const auto http = parse_base_url("http://[::1]:8000");
    ASSERT_TRUE(http);
    EXPECT_FALSE(http->tls);
    EXPECT_EQ(http->address.host, "::1");
    EXPECT_EQ(http->address.port, 8000);
    EXPECT_EQ(http->path, "");
    EXPECT_EQ(http->host_header, "[::1]:8000");

    const auto local = parse_base_url("unix:/run/model.sock");
    ASSERT_TRUE(local);
    EXPECT_EQ(local->address.unix_path, "/run/model.sock");
    EXPECT_EQ(local->path, "/v1");
}

TEST(BaseUrl, RefusesWhatIsNone) {
    for (const char* text : {"", "ftp://a/", "http://", "http:///v1", "http://a b/",
                             "http://a/v1?x=1", "http://a/v1#x", "a.b/v1",
                             "http://user:secret@a/v1", "http://a\r\nx: y/v1", "http://a/v\r\n1"}) {
        EXPECT_FALSE(parse_base_url(text)) << text;
    }
}

}  // namespace
}  // namespace leeway::net
