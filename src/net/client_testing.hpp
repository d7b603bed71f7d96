#pragma once

// Only for tests: calls to upstreams from a test's own thread.

#include "net/http_client.hpp"
#include "net/testing.hpp"

#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace leeway::net::testing {

/// What came of a call.
struct Reply {
    int status = 0;  ///< 0: no head came
    std::string body;  ///< also what came before an error
    std::optional<Error> error;
    bool reused = false;

    [[nodiscard]] bool whole() const noexcept { return status != 0 && !error; }
    [[nodiscard]] std::string reason() const { return error ? error->reason : std::string(); }
    [[nodiscard]] std::string message() const { return error ? error->message : std::string(); }
};

/// One call on the client's loop. The test waits for its end, or interrupts it.
struct PendingCall {
    const Origin* origin = nullptr;
    std::string method = "POST";
    std::string body = "{}";
    bool reads = true;  ///< false: the call is dropped as soon as its head is there

    [[nodiscard]] Reply reply() { return done.get_future().get(); }
    /// Bytes of the answer's body so far.
    std::atomic<std::size_t> seen{0};

    std::promise<Reply> done;
    Deadline* deadline = nullptr;  // while it runs; of the loop
};

/// Lets a script go on when the test says so.
class Signal {
public:
    void give() { promise_.set_value(); }
    void wait() { future_.wait_for(std::chrono::seconds(10)); }

private:
    std::promise<void> promise_;
    std::shared_future<void> future_ = promise_.get_future().share();
};

/// A loop with a pool of upstream connections.
class Client {
public:
    Client() {
        thread_.run([this] { pool_.emplace(thread_.loop()); });
    }
    ~Client() {
        thread_.run([this] { pool_.reset(); });
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    std::shared_ptr<PendingCall> begin(const Origin& origin, std::string body = "{}") {
        auto call = std::make_shared<PendingCall>();
        call->origin = &origin;
        call->body = std::move(body);
        return begin(std::move(call));
    }
    std::shared_ptr<PendingCall> begin(std::shared_ptr<PendingCall> call) {
        thread_.loop().post(
            [this, call] { thread_.loop().spawn(run(thread_.loop(), *pool_, call)); });
        return call;
    }
    Reply ask(const Origin& origin, std::string body = "{}") {
        return begin(origin, std::move(body))->reply();
    }
    void interrupt(const std::shared_ptr<PendingCall>& call, Deadline::Reason reason) {
        thread_.run([&] {
            if (call->deadline != nullptr) call->deadline->interrupt(reason);
        });
    }
    std::size_t idle() {
        std::size_t count = 0;
        thread_.run([&] { count = pool_->idle(); });
        return count;
    }

private:
    static Task<void> run(EventLoop& loop, UpstreamPool& pool, std::shared_ptr<PendingCall> call) {
        Reply reply;
        {
            Deadline deadline(loop, call->origin->timeouts);
            call->deadline = &deadline;
            UpstreamCall upstream(pool, *call->origin, deadline);
            const std::array<Field, 1> fields{Field{"content-type", "application/json"}};
            const std::array<std::string_view, 1> pieces{call->body};
            UpstreamRequest request;
            request.method = call->method;
            request.target = "/v1/x";
            request.fields = fields;
            request.body = pieces;
            auto started = co_await upstream.start(request);
            reply.reused = upstream.reused();
            if (!started) reply.error = std::move(started.error());
            if (!reply.error) reply.status = upstream.head().status;
            while (!reply.error && call->reads) {
                auto more = co_await upstream.read_some();
                if (!more) reply.error = std::move(more.error());
                if (!more || more->empty()) break;
                for (const std::string_view piece : *more) reply.body.append(piece);
                call->seen = reply.body.size();
            }
            call->deadline = nullptr;
        }
        call->done.set_value(std::move(reply));
    }

    LoopThread thread_;
    std::optional<UpstreamPool> pool_;
};

/// The origin of a server at `address` with patient limits. `scheme`: "http" or "https".
inline Origin origin_of(const Address& address, std::string_view scheme = "http") {
    Origin origin;
    const std::string text =
        address.is_unix() ? address.text() : std::string(scheme) + "://" + address.text();
    auto url = parse_base_url(text);
    if (url) origin.url = std::move(*url);
    origin.key = text;
    return origin;
}

}  // namespace leeway::net::testing
