#include "app/alert_sender.hpp"

#include "app/config_values.hpp"
#include "app/pepper.hpp"
#include "base/clock.hpp"
#include "base/hash.hpp"
#include "base/money.hpp"
#include "json/write.hpp"
#include "ledger/time_text.hpp"
#include "net/deadline.hpp"
#include "store/migrations.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leeway::app {
namespace {

constexpr std::array<store::Migration, 1> kMigrations{{{1, R"sql(
CREATE TABLE alert (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL,
    budget       TEXT    NOT NULL,
    scope        TEXT    NOT NULL,
    threshold_bp INTEGER NOT NULL,
    window_end_s INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    tries        INTEGER NOT NULL,
    next_try_s   INTEGER
) STRICT;
CREATE INDEX alert_of_budget ON alert (budget, scope, threshold_bp, window_end_s);
CREATE INDEX alert_to_send ON alert (next_try_s) WHERE next_try_s IS NOT NULL;
)sql"}}};

constexpr std::int64_t kLongestPause = 300;
constexpr std::int64_t kMostTries = 300;  // about a day
// Windows last a month at most.
constexpr std::int64_t kKeepSeconds = 90LL * 86'400;
constexpr std::size_t kMostAnswer = 64 * 1024;
constexpr auto kSlice = std::chrono::milliseconds(50);

std::string amount(budget::Unit unit, Int128 value) {
    constexpr auto kMost = Int128{INT64_MAX};
    const auto whole = static_cast<std::int64_t>(std::clamp<Int128>(value, -kMost, kMost));
    return unit == budget::Unit::kTokens ? std::to_string(whole) : to_usd_string(PicoUsd(whole));
}

}  // namespace

std::string alert_body(const budget::Alert& alert, std::string_view id, std::int64_t now_s) {
    constexpr std::int64_t kSecond = 1'000'000;
    std::string out;
    json::Writer writer(out);
    writer.object().key("type").string("budget_alert").key("id").string(id);
    writer.key("created").string(ledger::iso_time(now_s * kSecond));
    writer.key("budget").string(alert.budget).key("scope").string(to_string(alert.scope));
    writer.key("threshold_percent").number(static_cast<double>(alert.threshold_bp) / 100);
    writer.key("unit").string(to_string(alert.unit));
    writer.key("limit").string(amount(alert.unit, alert.limit));
    writer.key("spent").string(amount(alert.unit, alert.posted));
    writer.key("left").string(
        amount(alert.unit, std::max<Int128>(Int128{alert.limit} - alert.posted, 0)));
    writer.key("window_begins").string(ledger::iso_time(alert.window_begin_s * kSecond));
    writer.key("window_resets").string(ledger::iso_time(alert.resets_unix_s * kSecond));
    writer.close_object();
    return out;
}

std::string alert_signature(const Secret& secret, std::string_view body, std::int64_t now_s) {
    const std::string text = fmt::format("{}.{}", now_s, body);
    return fmt::format("t={},v1={}", now_s, to_hex(hmac_sha256(secret.expose(), text)));
}

Result<AlertOutbox> AlertOutbox::open(const std::string& state_folder) {
    if (auto made = make_private_folder(state_folder); !made) return fail(made.error());
    auto db = store::sqlite::Database::open(state_folder + "/alerts.db");
    if (!db) return fail(std::move(db.error()));
    if (auto done = store::migrate(*db, "alerts", kMigrations); !done) {
        return fail(std::move(done.error()));
    }
    return AlertOutbox(std::move(*db));
}

Result<bool> AlertOutbox::add(const budget::Alert& alert, std::int64_t now_s, bool to_send) {
    auto old = db_.prepare("DELETE FROM alert WHERE window_end_s < ? AND next_try_s IS NULL");
    if (!old) return fail(std::move(old.error()));
    old->bind(1, now_s - kKeepSeconds);
    if (auto done = old->run(); !done) return fail(std::move(done.error()));
    auto insert = db_.prepare(
        "INSERT INTO alert (id, budget, scope, threshold_bp, window_end_s, body, tries, next_try_s)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, 0, ?7 WHERE NOT EXISTS (SELECT 1 FROM alert WHERE"
        " budget = ?2 AND scope = ?3 AND threshold_bp = ?4 AND window_end_s > ?8)");
    if (!insert) return fail(std::move(insert.error()));
    const std::string id = RequestId::make(now_s * 1000).text();
    const std::string scope = to_string(alert.scope);
    const std::string body = alert_body(alert, id, now_s);
    insert->bind(1, std::string_view(id)).bind(2, std::string_view(alert.budget));
    insert->bind(3, std::string_view(scope)).bind(4, std::int64_t{alert.threshold_bp});
    insert->bind(5, alert.resets_unix_s).bind(6, std::string_view(body));
    if (to_send) {
        insert->bind(7, now_s);
    } else {
        insert->bind_null(7);
    }
    insert->bind(8, alert.window_begin_s);
    if (auto done = insert->run(); !done) return fail(std::move(done.error()));
    return db_.changes() > 0;
}

Result<std::optional<std::pair<std::int64_t, AlertOutbox::Due>>> AlertOutbox::next() {
    auto query = db_.prepare(
        "SELECT next_try_s, number, id, body, tries FROM alert WHERE next_try_s IS NOT NULL"
        " ORDER BY next_try_s, number LIMIT 1");
    if (!query) return fail(std::move(query.error()));
    const auto row = query->step();
    if (!row) return fail(row.error());
    if (!*row) return std::nullopt;
    Due due{query->int64(1), std::string(query->text(2)), std::string(query->text(3)),
            query->int64(4)};
    return std::pair(query->int64(0), std::move(due));
}

Result<void> AlertOutbox::delivered(const Due& due) {
    auto update = db_.prepare("UPDATE alert SET next_try_s = NULL WHERE number = ?");
    if (!update) return fail(std::move(update.error()));
    update->bind(1, due.number);
    return update->run();
}

Result<bool> AlertOutbox::failed(const Due& due, std::int64_t now_s) {
    const std::int64_t tries = due.tries + 1;
    const std::int64_t pause =
        std::min(kLongestPause, std::int64_t{1} << std::min<std::int64_t>(due.tries, 20));
    auto update = db_.prepare("UPDATE alert SET tries = ?, next_try_s = ? WHERE number = ?");
    if (!update) return fail(std::move(update.error()));
    update->bind(1, tries);
    if (tries < kMostTries) {
        update->bind(2, now_s + pause);
    } else {
        update->bind_null(2);
    }
    update->bind(3, due.number);
    if (auto done = update->run(); !done) return fail(std::move(done.error()));
    return tries < kMostTries;
}

Result<std::unique_ptr<AlertSender>> AlertSender::start(const std::string& state_folder) {
    auto outbox = AlertOutbox::open(state_folder);
    if (!outbox) return fail(std::move(outbox.error()));
    auto sender = std::unique_ptr<AlertSender>(new AlertSender(std::move(*outbox)));
    sender->thread_ = std::thread([self = sender.get()] {
        ::pthread_setname_np(::pthread_self(), "alerts");
        self->loop_.run();
    });
    return sender;
}

AlertSender::~AlertSender() {
    loop_.post([this] {
        stopping_ = true;
        if (running_ != nullptr) running_->interrupt(net::Deadline::Reason::kShutdown);
        if (!delivering_) loop_.stop();
    });
    thread_.join();
}

Result<void> AlertSender::use(const WebhookConfig& webhook) {
    std::shared_ptr<Target> target;
    if (!webhook.url.empty()) {
        target = std::make_shared<Target>();
        auto url = net::parse_base_url(webhook.url);
        if (!url) return fail(std::move(url.error()));
        target->origin.url = std::move(*url);
        if (target->origin.url.tls) {
            auto tls = net::make_tls_context(webhook.ca_file);
            if (!tls) return fail(std::move(tls.error()));
            target->origin.tls = std::move(*tls);
        }
        target->origin.timeouts = {std::chrono::seconds(5), std::chrono::seconds(10),
                                   std::chrono::seconds(10), std::chrono::seconds(15)};
        target->origin.key = webhook.url + " " + webhook.ca_file;
        target->secret = webhook.secret;
    }
    loop_.post([this, target = std::move(target)] {
        target_ = target;
        wake();  // what an earlier process left
    });
    return {};
}

void AlertSender::tell(std::vector<budget::Alert> alerts) {
    loop_.post([this, list = std::move(alerts)] {
        for (const budget::Alert& alert : list) keep(alert);
        wake();
    });
}

void AlertSender::keep(const budget::Alert& alert) {
    const auto is_new = outbox_.add(alert, unix_now_s(), target_ != nullptr);
    if (!is_new) spdlog::error("alerts: {}", is_new.error().text());
    if (is_new && !*is_new) return;
    spdlog::warn("budget {} ({}): {} % of the limit are spent; it resets at {}", alert.budget,
                 to_string(alert.scope), alert.threshold_bp / 100,
                 format_date(alert.resets_unix_s));
}

void AlertSender::wake() {
    if (delivering_ || stopping_ || target_ == nullptr) return;
    delivering_ = true;
    loop_.spawn(deliver_all());
}

/// Ends when nothing waits.
Task<void> AlertSender::deliver_all() {
    while (!stopping_ && target_ != nullptr) {
        auto next = outbox_.next();
        if (!next) spdlog::error("alerts: {}", next.error().text());
        if (!next || !*next) break;
        const AlertOutbox::Due& due = (*next)->second;
        const std::int64_t when = (*next)->first;
        if (when > unix_now_s()) {
            co_await pause(when);
            continue;
        }
        const auto target = target_;
        auto sent = co_await deliver(*target, due);
        if (sent) {
            if (auto done = outbox_.delivered(due); !done) break;
            continue;
        }
        if (stopping_) break;
        const auto again = outbox_.failed(due, unix_now_s());
        spdlog::warn("alert {} was not delivered, {}: {}", due.id,
                     again && *again ? "it is tried again" : "it is given up", sent.error().text());
        if (!again) break;
    }
    delivering_ = false;
    if (stopping_) loop_.stop();
}

Task<Result<void>> AlertSender::deliver(const Target& target, const AlertOutbox::Due& due) {
    net::Deadline deadline(loop_, target.origin.timeouts);
    running_ = &deadline;
    std::vector<net::Field> fields{{"content-type", "application/json"},
                                   {"user-agent", "leeway"},
                                   {"x-leeway-delivery", due.id}};
    std::string signature;
    if (!target.secret.empty()) {
        signature = alert_signature(target.secret, due.body, unix_now_s());
        fields.push_back({"x-leeway-signature", signature});
    }
    const std::array<std::string_view, 1> body{due.body};
    net::UpstreamRequest request;
    request.target =
        target.origin.url.path.empty() ? "/" : std::string_view(target.origin.url.path);
    request.fields = fields;
    request.body = body;
    net::UpstreamCall call(pool_, target.origin, deadline);
    auto started = co_await call.start(request);
    Result<void> out;
    if (!started) {
        out = fail(std::move(started.error()));
    } else if (const int status = call.head().status; status < 200 || status > 299) {
        out = fail(ErrorCode::kUpstreamInvalid, fmt::format("the webhook answered {}", status));
    } else {
        const auto rest = co_await call.read_all(kMostAnswer);
        (void)rest;  // read so that the connection can be used again
    }
    running_ = nullptr;
    co_return out;
}

Task<void> AlertSender::pause(std::int64_t until_s) {
    while (!stopping_ && unix_now_s() < until_s) co_await loop_.sleep_for(kSlice);
}

}  // namespace leeway::app
