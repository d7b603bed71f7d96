#include "net/listener.hpp"

#include "net/testing.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

namespace leeway::net {
namespace {

using testing::LoopThread;

class TempDir {
public:
    TempDir() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "leeway_net_XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~TempDir() { std::filesystem::remove_all(path); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    std::string path;
};

/// Listeners that drop whom they accept; made, opened and closed on the loop's thread.
class ListenerTest : public ::testing::Test {
protected:
    static void drop(void* /*context*/, std::unique_ptr<Stream> /*stream*/) {}

    Result<Address> open(std::optional<Listener>& listener, const Address& at) {
        Result<Address> out;
        loop_thread_.run([&] {
            listener.emplace(loop_thread_.loop(), &drop, nullptr);
            out = listener->open(at, false);
        });
        return out;
    }
    void close(std::optional<Listener>& listener) {
        loop_thread_.run([&] {
            listener->close();
            listener.reset();
        });
    }
    LoopThread loop_thread_;
};

TEST_F(ListenerTest, SaysWhenThePortIsTaken) {
    std::optional<Listener> first;
    const auto bound = open(first, *parse_address("127.0.0.1:0"));
    ASSERT_TRUE(bound);
    EXPECT_FALSE(check_address_free(*bound));
    std::optional<Listener> other;
    const auto listening = open(other, *bound);
    ASSERT_FALSE(listening);
    EXPECT_EQ(listening.error().code, ErrorCode::kConfig);
    EXPECT_NE(listening.error().hint.find("another program"), std::string::npos);
    close(other);
    close(first);
    EXPECT_TRUE(check_address_free(*bound));
}

TEST_F(ListenerTest, ListensOnAUnixSocketAndRemovesAStaleOne) {
    const TempDir dir;
    const std::string path = dir.path + "/s";
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(stale, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ::close(stale);
    std::optional<Listener> first;
    ASSERT_TRUE(open(first, *parse_address("unix:" + path)));
    EXPECT_EQ(std::filesystem::status(path).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const int client = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ::close(client);
    std::optional<Listener> other;
    EXPECT_FALSE(open(other, *parse_address("unix:" + path))) << "it is in use";
    close(other);
    EXPECT_TRUE(std::filesystem::exists(path)) << "it belongs to the first";
    close(first);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ListenerTest, NeverRemovesAFileThatIsNoSocket) {
    const TempDir dir;
    const std::string path = dir.path + "/precious";
    std::ofstream(path) << "data";
    std::optional<Listener> listener;
    EXPECT_FALSE(open(listener, *parse_address("unix:" + path)));
    close(listener);
    EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

}  // namespace
}  // namespace leeway::net
