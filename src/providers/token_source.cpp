#include "providers/token_source.hpp"

#include "base/hash.hpp"
#include "json/node.hpp"
#include "net/deadline.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace leeway::providers {
namespace {

using std::chrono::seconds;

constexpr std::string_view kScope = "https://www.googleapis.com/auth/cloud-platform";
constexpr std::size_t kMostAnswer = 64 * 1024;
/// A token is renewed so long before its end, or at half its life where that is shorter.
constexpr seconds kAhead{300};
constexpr seconds kMargin{10};
constexpr std::int64_t kUsualLife = 3600;  // seconds
constexpr std::int64_t kMostLife = 86'400;
constexpr seconds kFirstPause{1};
constexpr seconds kLongestPause{60};

}  // namespace

Result<std::shared_ptr<TokenSource>> TokenSource::start(ServiceAccount account,
                                                        const std::string& ca_file) {
    auto source = std::shared_ptr<TokenSource>(new TokenSource(std::move(account)));
    auto url = net::parse_base_url(source->account_.token_uri);
    if (!url) return fail(std::move(url.error()));
    net::Origin& origin = source->origin_;
    origin.url = std::move(*url);
    if (origin.url.tls) {
        auto tls = net::make_tls_context(ca_file);
        if (!tls) return fail(std::move(tls.error()));
        origin.tls = std::move(*tls);
    }
    origin.timeouts = {seconds(5), seconds(10), seconds(10), seconds(20)};
    origin.key = source->account_.token_uri;
    source->loop_.post([self = source.get()] { self->loop_.spawn(self->keep_fresh()); });
    source->thread_ = std::thread([self = source.get()] {
        ::pthread_setname_np(::pthread_self(), "tokens");
        self->loop_.run();
    });
    return source;
}

void TokenSource::stop() {
    if (!thread_.joinable()) return;
    loop_.post([this] {
        stopping_ = true;
        if (running_ != nullptr) running_->interrupt(net::Deadline::Reason::kShutdown);
        if (sleeper_) alarm_->arm(monotonic_now());
    });
    thread_.join();
}

std::shared_ptr<const Secret> TokenSource::bearer() const {
    const std::scoped_lock lock(mutex_);
    return monotonic_now() < good_until_ ? token_ : nullptr;
}

Task<Result<void>> TokenSource::wait_ready(net::EventLoop& loop, net::Deadline& deadline) {
    if (bearer()) co_return Result<void>();
    if (deadline.interrupted()) co_return fail(deadline.error());
    const auto wait = std::make_shared<Wait>(loop);
    const net::Deadline::Guard guard(deadline, &Wait::interrupt, wait.get());
    {
        const std::scoped_lock lock(mutex_);
        waiting_.push_back(wait);
    }
    loop_.post([this] { somebody_waits(); });
    Wait& awaited = *wait;
    co_await awaited;
    if (wait->has_value()) co_return wait->take();
    co_return fail(deadline.error());
}

/// Sleeps until `when`, or until something is to be done.
struct TokenSource::Pause {
    TokenSource& source;
    TimePoint when;
    [[nodiscard]] bool await_ready() const noexcept { return source.stopping_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept {
        source.sleeper_ = handle;
        source.alarm_->arm(when);
    }
    void await_resume() const noexcept {}
};

Task<void> TokenSource::keep_fresh() {
    net::Timer alarm(
        loop_.timers(),
        [](void* self) { std::exchange(static_cast<TokenSource*>(self)->sleeper_, {}).resume(); },
        this);
    alarm_ = &alarm;
    auto pause = kFirstPause;
    while (!stopping_) {
        const TimePoint asked = monotonic_now();
        auto token = co_await exchange();
        TimePoint next = asked;
        if (token) {
            next = keep(std::move(*token), asked);
            pause = kFirstPause;
        } else if (!stopping_) {
            spdlog::warn("no access token for {}: {}", account_.email, token.error().text());
            failure_ = token.error();
            failed_at_ = monotonic_now();
            release(fail(std::move(token.error())));
            next = failed_at_ + pause;
            pause = std::min(2 * pause, kLongestPause);
        }
        co_await Pause{*this, next};
    }
    release(fail(ErrorCode::kUnavailable, "the gateway ends"));
    loop_.stop();
}

TimePoint TokenSource::keep(Token token, TimePoint asked) {
    failure_.reset();
    {
        const std::scoped_lock lock(mutex_);
        token_ = std::make_shared<const Secret>(std::move(token.bearer));
        // What is sent in its last moments would be refused.
        good_until_ = asked + token.life - std::min<Duration>(kMargin, token.life / 4);
    }
    release({});
    return asked + token.life - std::min<Duration>(kAhead, token.life / 2);
}

void TokenSource::somebody_waits() {
    if (bearer()) {
        release({});  // it came in between
    } else if (failure_ && monotonic_now() - failed_at_ < kFirstPause) {
        release(fail(*failure_));
    } else if (sleeper_) {
        alarm_->arm(monotonic_now());
    }
}

void TokenSource::release(const Result<void>& outcome) {
    std::vector<std::shared_ptr<Wait>> waiting;
    {
        const std::scoped_lock lock(mutex_);
        waiting.swap(waiting_);
    }
    for (const auto& wait : waiting) wait->deliver(outcome);
}

Task<Result<TokenSource::Token>> TokenSource::exchange() {
    const auto assertion = signed_assertion(account_, kScope, unix_now_s());
    if (!assertion) co_return fail(assertion.error());
    const std::string form =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" + *assertion;
    net::Deadline deadline(loop_, origin_.timeouts);
    running_ = &deadline;
    const std::array<net::Field, 1> fields{{{"content-type", "application/x-www-form-urlencoded"}}};
    const std::array<std::string_view, 1> body{form};
    net::UpstreamRequest request;
    request.target = origin_.url.path.empty() ? "/" : std::string_view(origin_.url.path);
    request.fields = fields;
    request.body = body;
    net::UpstreamCall call(pool_, origin_, deadline);
    Result<void> started = co_await call.start(request);
    Result<std::string_view> text = std::string_view();
    if (started) text = co_await call.read_all(kMostAnswer);
    running_ = nullptr;
    if (!started) co_return fail(std::move(started.error()));
    if (!text) co_return fail(std::move(text.error()));
    const auto node = json::parse_node(*text);
    const std::string_view token = node ? node->text_of("access_token") : std::string_view();
    if (call.head().status != 200 || token.empty()) {
        // Never the token, should one be in it.
        const std::string_view why = node ? node->text_of("error_description") : std::string_view();
        co_return fail(
            Error{ErrorCode::kUnavailable,
                  fmt::format("Google's token server answered {} {}", call.head().status, why),
                  "see whether the service account and its key are still valid",
                  {},
                  "no_access_token"});
    }
    const json::Node* life = node->find("expires_in");
    const std::int64_t told = life == nullptr ? 0 : life->integer().value_or(0);
    co_return Token{Secret("Bearer " + std::string(token)),
                    seconds(told > 0 ? std::min(told, kMostLife) : kUsualLife)};
}

Result<std::shared_ptr<TokenSource>> TokenSources::source(const std::string& account_file,
                                                          const std::string& ca_file) {
    auto account = read_service_account(account_file);
    if (!account) return fail(std::move(account.error()));
    const std::string key = fmt::format("{}\n{}\n{}\n{}", account->email, account->token_uri,
                                        ca_file, to_hex(sha256(account->private_key.expose())));
    auto& known = sources_[key];
    if (known == nullptr) {
        auto started = TokenSource::start(std::move(*account), ca_file);
        if (!started) return fail(std::move(started.error()));
        known = std::move(*started);
    }
    return known;
}

void TokenSources::stop() {
    for (const auto& [key, source] : sources_) source->stop();
}

}  // namespace leeway::providers
