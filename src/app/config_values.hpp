#pragma once

#include "base/result.hpp"
#include "net/address.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leeway::app {

/// Readers of the small value forms of the configuration and the command line. Errors are kConfig
/// and their text says which forms are accepted.

/// "250ms", "10s", "5m", "24h", "30d"; "0" needs no unit.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "4096", "64B", "32KiB", "32MiB", "4GiB", "1TiB", and "KB", "MB", "GB", "TB" as powers of 1000.
[[nodiscard]] Result<std::uint64_t> parse_bytes(std::string_view text);
/// on, off, true, false, yes, no, in any case.
[[nodiscard]] Result<bool> parse_switch(std::string_view text);
/// "2027-01-31" (its first instant) or "2027-01-31T08:30:00Z", in UTC, as seconds since the epoch.
[[nodiscard]] Result<std::int64_t> parse_date(std::string_view text);
/// The inverse of parse_date, always with a time: "2027-01-31T08:30:00Z".
[[nodiscard]] std::string format_date(std::int64_t unix_s);

/// Where to listen: net::parse_address, and a Unix socket's path must be absolute.
[[nodiscard]] Result<net::Address> parse_listen_address(std::string_view text);
/// Whether only this machine can reach `address`. Stricter than a look at the name: "127.x.org" is
/// an ordinary host.
[[nodiscard]] bool is_this_machine(const net::Address& address);

/// Names of keys, models, routes and providers travel in headers, rows and lists: printable ASCII
/// without spaces, commas, quotes and backslashes, 1 to 128 characters.
[[nodiscard]] Result<void> check_name(std::string_view name);

}  // namespace leeway::app
