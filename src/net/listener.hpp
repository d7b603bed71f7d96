#pragma once

#include "base/result.hpp"
#include "net/address.hpp"
#include "net/event_loop.hpp"
#include "net/stream.hpp"

#include <memory>

namespace leeway::net {

/// Accepts connections at one address. Loop-local.
class Listener {
public:
    using Accepted = void (*)(void* context, std::unique_ptr<Stream> stream);

    /// `accepted` is called for each connection until `close`. Destroying the listener ends the calls, too.
    Listener(EventLoop& loop, Accepted accepted, void* context);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// Listens; returns the address with the port that was chosen. `shared`: other listeners have
    /// the same address. Errors (kConfig) say what is in the way.
    [[nodiscard]] Result<Address> open(const Address& address, bool shared);
    void close() noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;  // pending accepts hold it too
};

/// Fails when `address` is in use by another process. Call before several workers listen on it with
/// `shared`, because a shared listener would join the other process silently.
[[nodiscard]] Result<void> check_address_free(const Address& address);

}  // namespace leeway::net
