#pragma once

#include "base/clock.hpp"
#include "models/loop_wait.hpp"
#include "net/http_client.hpp"
#include "providers/service_account.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace leeway::providers {

/// Access tokens of one Google service account. A thread of its own gets one, and the next before it ends, one at a
/// time; requests take what is there, and wait only where there is none. `bearer` and `wait_ready` may be called from
/// any thread.
class TokenSource {
public:
    /// `ca_file`: certificates for the token's server besides the system's; empty: none.
    [[nodiscard]] static Result<std::shared_ptr<TokenSource>> start(ServiceAccount account,
                                                                    const std::string& ca_file);
    ~TokenSource() { stop(); }
    TokenSource(const TokenSource&) = delete;
    TokenSource& operator=(const TokenSource&) = delete;

    /// The value of `Authorization`; null: there is no token that is still good.
    [[nodiscard]] std::shared_ptr<const Secret> bearer() const;
    /// Waits, on the caller's loop, until there is one. Fails with why there is none, or the deadline's error.
    [[nodiscard]] Task<Result<void>> wait_ready(net::EventLoop& loop, net::Deadline& deadline);
    /// Gets no more tokens. While it runs the loops of those who wait must be there.
    void stop();

private:
    using Wait = models::LoopWait<Result<void>>;
    struct Token {
        Secret bearer;
        std::chrono::milliseconds life{};
    };

    explicit TokenSource(ServiceAccount account) : account_(std::move(account)), pool_(loop_) {}
    struct Pause;
    Task<void> keep_fresh();
    Task<Result<Token>> exchange();
    /// Takes a token that was got at `asked` and says when to get the next.
    [[nodiscard]] TimePoint keep(Token token, TimePoint asked);
    void somebody_waits();
    void release(const Result<void>& outcome);

    const ServiceAccount account_;
    net::Origin origin_;
    net::EventLoop loop_;
    net::UpstreamPool pool_;
    std::thread thread_;
    // On the thread of loop_.
    net::Timer* alarm_ = nullptr;  // of the pause between two exchanges
    std::coroutine_handle<> sleeper_;
    net::Deadline* running_ = nullptr;  // of the exchange under way
    bool stopping_ = false;
    std::optional<Error> failure_;  // of the last exchange
    TimePoint failed_at_{};

    mutable std::mutex mutex_;
    std::shared_ptr<const Secret> token_;
    TimePoint good_until_{};
    std::vector<std::shared_ptr<Wait>> waiting_;
};

/// The sources of a process by their account, so that a new configuration goes on with their tokens. One thread.
class TokenSources {
public:
    TokenSources() = default;
    ~TokenSources() { stop(); }
    TokenSources(const TokenSources&) = delete;
    TokenSources& operator=(const TokenSources&) = delete;

    [[nodiscard]] Result<std::shared_ptr<TokenSource>> source(const std::string& account_file,
                                                              const std::string& ca_file);
    /// Stops all; see TokenSource::stop.
    void stop();

private:
    std::map<std::string, std::shared_ptr<TokenSource>> sources_;
};

}  // namespace leeway::providers
