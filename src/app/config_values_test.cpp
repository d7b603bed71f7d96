#include "app/config_values.hpp"

#include <gtest/gtest.h>

namespace leeway::app {
namespace {

TEST(ConfigValues, ReadsDurations) {
    EXPECT_EQ(parse_duration("0")->count(), 0);
    EXPECT_EQ(parse_duration("250ms")->count(), 250);
    EXPECT_EQ(parse_duration("10s")->count(), 10'000);
    EXPECT_EQ(parse_duration("5m")->count(), 300'000);
    EXPECT_EQ(parse_duration("24h")->count(), 86'400'000);
    EXPECT_EQ(parse_duration("30d")->count(), 2'592'000'000);
    for (const char* bad : {"", "10", "s", "-1s", "1.5s", "1 week", "99999999999999999d"}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
}

TEST(ConfigValues, ReadsSizes) {
    EXPECT_EQ(*parse_bytes("4096"), 4096u);
    EXPECT_EQ(*parse_bytes("32MiB"), 32u << 20);
    EXPECT_EQ(*parse_bytes("1 GiB"), 1u << 30);
    EXPECT_EQ(*parse_bytes("5MB"), 5'000'000u);
    for (const char* bad : {"", "MiB", "1.5MiB", "-1", "3 apples", "99999999999TiB"}) {
        EXPECT_FALSE(parse_bytes(bad)) << bad;
    }
}

TEST(ConfigValues, ReadsDatesAndWritesThemBack) {
    EXPECT_EQ(*parse_date("1970-01-01"), 0);
    EXPECT_EQ(*parse_date("2027-01-31T08:30:00Z"), 1'801'384'200);
    EXPECT_EQ(format_date(1'801'384'200), "2027-01-31T08:30:00Z");
    EXPECT_EQ(format_date(0), "1970-01-01T00:00:00Z");
    for (const char* bad :
         {"", "2027", "2027-02-30", "2027-1-1", "31.01.2027", "2027-01-31T25:00:00Z",
          "2027-01-31T08:30:00", "2027-01-31T08:30:00+01"}) {
        EXPECT_FALSE(parse_date(bad)) << bad;
    }
}

TEST(ConfigValues, ReadsAddresses) {
    EXPECT_EQ(parse_listen_address("0.0.0.0:80")->port, 80);
    EXPECT_EQ(parse_listen_address("[::1]:8484")->host, "::1");
    EXPECT_EQ(parse_listen_address("unix:/run/l.sock")->unix_path, "/run/l.sock");
    for (const char* bad : {"", ":8484", "8484", "host", "host:", "host:x", "host:70000", "::1:80",
                            "[::1]", "http://h:1", "unix:", "unix:rel", "a b:1"}) {
        EXPECT_FALSE(parse_listen_address(bad)) << bad;
    }
    EXPECT_FALSE(parse_listen_address("unix:/" + std::string(200, 'x')));
}

TEST(ConfigValues, NamesAreSafeInHeadersAndLists) {
    for (const char* name : {"gpt-4o", "meta-llama/Llama-3.3", "a:b@c+d", "x"}) {
        EXPECT_TRUE(check_name(name)) << name;
    }
    for (const char* name : {"", "a b", "a,b", "a\"b", "a\nb", "größe"}) {
        EXPECT_FALSE(check_name(name)) << name;
    }
}

}  // namespace
}  // namespace leeway::app
