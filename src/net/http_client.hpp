#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/task.hpp"
#include "net/address.hpp"
#include "net/deadline.hpp"
#include "net/event_loop.hpp"
#include "net/http_message.hpp"
#include "net/stream.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leeway::net {

/// An upstream as the pool knows it. Immutable; outlives every pool that uses it.
struct Origin {
    BaseUrl url;
    std::shared_ptr<TlsContext> tls;  ///< null: plain
    Timeouts timeouts;
    std::uint32_t max_connections = 512;  ///< per pool

    /// Two origins with the same key may share connections.
    std::string key;
};

/// What is sent. Everything must stay alive until `UpstreamCall::start` has returned.
struct UpstreamRequest {
    std::string_view method = "POST";
    std::string_view target;  ///< path (with the origin's prefix) and query
    std::span<const Field> fields;  ///< without Host, Content-Length and Connection
    std::span<const std::string_view> body;  ///< pieces, at most 12
};

class UpstreamConnection;
class UpstreamPool;

/// One request to an upstream and its answer. Loop-local. Destroying it before the answer was read
/// to its end closes the connection, which stops the upstream's work.
class UpstreamCall {
public:
    UpstreamCall(UpstreamPool& pool, const Origin& origin, Deadline& deadline) noexcept;
    ~UpstreamCall();
    UpstreamCall(const UpstreamCall&) = delete;
    UpstreamCall& operator=(const UpstreamCall&) = delete;

    /// Leases a connection, sends, and reads the answer's head. A pooled connection that breaks at once
    /// and without a byte of an answer was closed while it lay idle: the request is sent once more on a
    /// new one. One that breaks later had taken the request, which is not sent twice.
    [[nodiscard]] Task<Result<void>> start(const UpstreamRequest& request);
    /// Its views live until the first read of the body.
    [[nodiscard]] const ResponseHead& head() const noexcept;

    /// The next bytes of the body, as up to `kMaxPieces` views that live until the next call; waits
    /// only when nothing is there. Empty: the body is complete. Error: it was cut (kUpstreamInvalid)
    /// or interrupted.
    static constexpr std::size_t kMaxPieces = 12;
    [[nodiscard]] Task<Result<std::span<const std::string_view>>> read_some();
    /// The whole (rest of the) body, at most `limit` bytes, with 64 readable bytes behind it. The
    /// view lives until the call is destroyed.
    [[nodiscard]] Task<Result<std::string_view>> read_all(std::size_t limit);
    /// From now on `deadline` limits it, instead of the one that did. Only while nobody waits for it.
    void limit_by(Deadline& deadline) noexcept { deadline_ = &deadline; }
    /// Ends the call as its destructor does; then only the latter is left to call.
    void release() noexcept;
    /// Whether a connection was taken from the pool (for metrics).
    [[nodiscard]] bool reused() const noexcept { return reused_; }
    /// Whether an upstream may have seen the request, and may bill it, whatever came of it.
    [[nodiscard]] bool sent() const noexcept { return sent_; }

private:
    Task<Result<void>> attempt(const UpstreamRequest& request, bool fresh);
    Task<Result<std::string_view>> collect_all(std::size_t limit);

    UpstreamPool& pool_;
    const Origin& origin_;
    Deadline* deadline_;
    std::unique_ptr<UpstreamConnection> connection_;
    std::string body_;
    TimePoint sent_at_{};
    bool sent_ = false;
    bool reused_ = false;
    bool answer_begun_ = false;
};

/// Keep-alive connections of one worker to its upstreams. An idle connection has a read standing: it
/// leaves the pool the moment the upstream closes it. Loop-local.
class UpstreamPool {
public:
    explicit UpstreamPool(EventLoop& loop);
    ~UpstreamPool();
    UpstreamPool(const UpstreamPool&) = delete;
    UpstreamPool& operator=(const UpstreamPool&) = delete;

    [[nodiscard]] EventLoop& loop() noexcept { return loop_; }
    /// Idle connections, for metrics and tests.
    [[nodiscard]] std::size_t idle() const noexcept;
    /// Closes what is idle (shutdown).
    void close_idle() noexcept;

    struct Impl;
    [[nodiscard]] Impl& impl() noexcept { return *impl_; }

private:
    EventLoop& loop_;
    std::unique_ptr<Impl> impl_;
};

}  // namespace leeway::net
