#pragma once

#include "app/config.hpp"
#include "guard/budget/book.hpp"
#include "net/event_loop.hpp"
#include "net/http_client.hpp"
#include "store/sqlite/database.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace leeway::app {

/// What was told of budgets, and what is still to be told to the webhook: STATE/alerts.db. So an alert is told once
/// for its window and threshold, also when the gateway was started anew in between. One thread at a time.
class AlertOutbox {
public:
    struct Due {
        std::int64_t number = 0;
        std::string id;
        std::string body;
        std::int64_t tries = 0;
    };

    [[nodiscard]] static Result<AlertOutbox> open(const std::string& state_folder);

    /// False: this budget, scope and threshold was told in a window that is not over when this one begins.
    /// `to_send`: it waits for delivery.
    [[nodiscard]] Result<bool> add(const budget::Alert& alert, std::int64_t now_s, bool to_send);
    /// The next that waits and when it may be tried (unix seconds); nullopt: none.
    [[nodiscard]] Result<std::optional<std::pair<std::int64_t, Due>>> next();
    [[nodiscard]] Result<void> delivered(const Due& due);
    /// To be tried again, after 1 s, 2 s, 4 s … 5 min; given up after a day of that. False: given up.
    [[nodiscard]] Result<bool> failed(const Due& due, std::int64_t now_s);

private:
    explicit AlertOutbox(store::sqlite::Database db) : db_(std::move(db)) {}
    store::sqlite::Database db_;
};

/// The JSON that the webhook gets, see docs/formats/budgets.md.
[[nodiscard]] std::string alert_body(const budget::Alert& alert, std::string_view id,
                                     std::int64_t now_s);
/// The value of x-leeway-signature: "t=UNIX,v1=HEX", HMAC-SHA-256 over "UNIX.BODY".
[[nodiscard]] std::string alert_signature(const Secret& secret, std::string_view body,
                                          std::int64_t now_s);

/// Tells of alerts in the log and to the webhook, on a thread of its own. Used by the main thread.
class AlertSender {
public:
    [[nodiscard]] static Result<std::unique_ptr<AlertSender>> start(
        const std::string& state_folder);
    ~AlertSender();  ///< what is not delivered yet stays in the outbox
    AlertSender(const AlertSender&) = delete;
    AlertSender& operator=(const AlertSender&) = delete;

    /// Where to from now on. An error when its certificates cannot be read; then nothing changes.
    [[nodiscard]] Result<void> use(const WebhookConfig& webhook);
    void tell(std::vector<budget::Alert> alerts);

private:
    struct Target {
        net::Origin origin;
        Secret secret;
    };
    explicit AlertSender(AlertOutbox outbox) : outbox_(std::move(outbox)), pool_(loop_) {}
    void keep(const budget::Alert& alert);
    void wake();
    Task<void> deliver_all();
    Task<Result<void>> deliver(const Target& target, const AlertOutbox::Due& due);
    Task<void> pause(std::int64_t until_s);

    AlertOutbox outbox_;
    net::EventLoop loop_;
    net::UpstreamPool pool_;
    std::shared_ptr<const Target> target_;  // null: to the log only
    net::Deadline* running_ = nullptr;  // of the call under way
    bool delivering_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace leeway::app
