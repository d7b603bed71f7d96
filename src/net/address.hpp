#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace leeway::net {

/// Where to listen or connect: "127.0.0.1:8484", "[::1]:8484", "localhost:80" or "unix:/path".
struct Address {
    std::string host;          ///< empty for a Unix socket; without brackets for IPv6
    std::uint16_t port = 0;    ///< 0 when listening: the system chooses
    std::string unix_path;     ///< empty for TCP

    [[nodiscard]] bool is_unix() const noexcept { return !unix_path.empty(); }
    /// True for 127.0.0.0/8, ::1, "localhost" and Unix sockets: not reachable from other machines.
    [[nodiscard]] bool is_loopback() const noexcept;
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Address&, const Address&) = default;
};

[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// A base URL of an upstream, split: "https://api.openai.com/v1", "http://10.0.0.1:8000/v1",
/// "unix:/run/model.sock" (then the path prefix is "/v1").
struct BaseUrl {
    bool tls = false;
    Address address;
    std::string path;  ///< prefix of every request target, without a trailing slash
    std::string host_header;  ///< what goes into `Host`
};

[[nodiscard]] Result<BaseUrl> parse_base_url(std::string_view text);

}  // namespace leeway::net
