#include "net/address.hpp"

#include "base/strings.hpp"

namespace leeway::net {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kMaxUnixPath = 107;  // sizeof(sockaddr_un::sun_path) - 1

Result<Address> parse_unix(std::string_view path) {
    if (path.empty() || path.size() > kMaxUnixPath) {
        return fail(ErrorCode::kConfig, "a Unix socket path has 1 to 107 characters",
                    "use a shorter path, e.g. unix:/run/leeway.sock");
    }
    Address out;
    out.unix_path = path;
    return out;
}

bool valid_host(std::string_view host) {
    if (host.empty() || host.size() > 253) return false;
    for (const char c : host) {
        const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == ':';
        if (!ok) return false;
    }
    return true;
}

Result<Address> parse_host_port(std::string_view text, int default_port) {
    const auto bad = [&] {
        return fail(ErrorCode::kConfig, "'" + std::string(text) + "' is not an address",
                    "write HOST:PORT, [IPV6]:PORT or unix:/path, e.g. 127.0.0.1:8484");
    };
    std::string_view host = text;
    std::string_view port;
    if (!text.empty() && text.front() == '[') {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return bad();
        host = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') return bad();
        if (!rest.empty()) port = rest.substr(1);
    } else if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (host.find(':') != std::string_view::npos || port.empty()) return bad();
    }
    if (!valid_host(host)) return bad();
    Address out;
    out.host = host;
    if (port.empty()) {
        if (default_port < 0) return bad();
        out.port = static_cast<std::uint16_t>(default_port);
        return out;
    }
    const auto number = parse_u64(port);
    if (!number || *number > 65535) return bad();
    out.port = static_cast<std::uint16_t>(*number);
    return out;
}

}  // namespace

bool Address::is_loopback() const noexcept {
    if (is_unix() || host == "localhost" || host == "::1") return true;
    // A name may begin like that too.
    return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string Address::text() const {
    if (is_unix()) return std::string(kUnixPrefix) + unix_path;
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_address(std::string_view text) {
    if (text.starts_with(kUnixPrefix)) return parse_unix(text.substr(kUnixPrefix.size()));
    return parse_host_port(text, -1);
}

Result<BaseUrl> parse_base_url(std::string_view text) {
    BaseUrl out;
    if (text.starts_with(kUnixPrefix)) {
        auto address = parse_unix(text.substr(kUnixPrefix.size()));
        if (!address) return fail(std::move(address.error()));
        out.address = std::move(*address);
        out.path = "/v1";
        out.host_header = "localhost";
        return out;
    }
    std::string_view rest = text;
    if (rest.starts_with("https://")) {
        out.tls = true;
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else {
        return fail(ErrorCode::kConfig, "'" + std::string(text) + "' is not a base URL",
                    "write http://HOST[:PORT]/v1, https://HOST/v1 or unix:/path");
    }
    const auto slash = rest.find('/');
    const std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) {
        std::string_view path = rest.substr(slash);
        while (path.ends_with('/')) path.remove_suffix(1);
        for (const char c : path) {
            if (c <= ' ' || c >= 0x7f || c == '?' || c == '#') {
                return fail(
                    ErrorCode::kConfig,
                    "the path of '" + std::string(text) + "' has characters it must not have",
                    "a base URL has neither spaces nor a query");
            }
        }
        out.path = path;
    }
    auto address = parse_host_port(authority, out.tls ? 443 : 80);
    if (!address) return fail(std::move(address.error()));
    out.address = std::move(*address);
    out.host_header = authority;
    return out;
}

}  // namespace leeway::net
