#pragma once

#include "net/detail/asio.hpp"
#include "net/stream.hpp"

#include <memory>

namespace leeway::net {

/// A stream over a connected socket (accepted or connected).
[[nodiscard]] std::unique_ptr<Stream> make_plain_stream(Socket socket);
/// Small writes must not wait for an acknowledgement (Nagle against delayed ACK costs 40 ms).
void set_no_delay(Socket& socket) noexcept;

}  // namespace leeway::net
