#pragma once

#include "base/result.hpp"
#include "base/task.hpp"
#include "net/address.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"
#include "net/io_op.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace leeway::net {

/// A connected byte stream: TCP, Unix socket, or TLS over either. Loop-local. At most one read and
/// one write may be pending. Before destruction both must have completed (`cancel`, then await).
class Stream {
public:
    virtual ~Stream() = default;

    /// Starts reading at least one byte into `into`, which must outlive the operation. kEnd when the
    /// peer has finished sending.
    virtual void start_read(IoOp& op, std::span<char> into) = 0;
    /// Writes all of `pieces` (at most 16; they must outlive the operation). Completes at once,
    /// without suspending, when the kernel takes everything.
    virtual void start_write(IoOp& op, std::span<const std::string_view> pieces) = 0;
    /// Pending operations complete with kCanceled.
    virtual void cancel() noexcept = 0;
    /// Closes the sending side; the peer sees the end (TLS: a truncation, there is no close_notify).
    virtual void shutdown_write() noexcept = 0;
    virtual void close() noexcept = 0;
    /// Closes so that the peer sees a broken connection (TCP reset) instead of an end.
    virtual void abort() noexcept = 0;
};

/// A TLS client configuration: verification on, system roots or the given CA file added to them.
/// Thread-safe after creation; shared by all connections of an origin.
class TlsContext;
[[nodiscard]] Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file);

/// Resolves, connects, and for TLS shakes hands and verifies the host name. Fails with kUnavailable
/// or kUpstreamInvalid in words that name the address; when the deadline interrupts it the error is
/// the deadline's. `tls` null: plain.
[[nodiscard]] Task<Result<std::unique_ptr<Stream>>> connect_stream(EventLoop& loop, Address address,
                                                                   std::shared_ptr<TlsContext> tls,
                                                                   Deadline& deadline);

}  // namespace leeway::net
