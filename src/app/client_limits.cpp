#include "app/budget_policy.hpp"
#include "app/client_request.hpp"
#include "guard/limits/limit_book.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

// Four bytes a token is what English text has; the count is set right when the answer ends.
constexpr std::int64_t kBytesPerToken = 4;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 50;

std::string_view words(limits::Measure measure) {
    switch (measure) {
        case limits::Measure::kRequests: return "requests per minute";
        case limits::Measure::kTokens: return "tokens per minute";
        case limits::Measure::kParallel: return "requests at a time";
    }
    return "requests";
}

pipeline::Reject rejection(const limits::LimitRefusal& refusal) {
    const bool never = refusal.wait == Duration::max();
    Error error{ErrorCode::kRateLimited,
                fmt::format("Rate limit '{}' ({}) is reached: {} of {} {} are left, this request "
                            "takes {}.",
                            refusal.limit, to_string(refusal.scope), refusal.left, refusal.most,
                            words(refusal.measure), refusal.wanted),
                {},
                {},
                "rate_limit_exceeded"};
    if (never) {
        error.hint = "it is larger than the limit: send less text or a lower max_tokens";
        return {std::move(error), 0};
    }
    if (refusal.measure == limits::Measure::kParallel) {
        error.hint = "wait until one of them has ended";
    } else {
        error.hint = fmt::format("try again in {} s", limits::retry_after_seconds(refusal.wait));
    }
    return {std::move(error), limits::retry_after_seconds(refusal.wait)};
}

}  // namespace

/// As soon as the caller is known: one more request of its key, its team and everyone.
std::optional<pipeline::Reject> ClientRequest::limit_caller() {
    limits::LimitBook* book = snapshot_->limits();
    if (book == nullptr || book->empty()) return std::nullopt;
    const auto refusal = book->admit(caller_scopes(context_), {true, -1}, monotonic_now(),
                                     caller_ticket_, limit_view_);
    if (!refusal) return std::nullopt;
    return rejection(*refusal);
}

/// When the body is read: one more request of its user, session and tags, and its tokens for all.
std::optional<pipeline::Reject> ClientRequest::limit_request() {
    limits::LimitBook* book = snapshot_->limits();
    if (book == nullptr || book->empty()) return std::nullopt;
    const TimePoint now = monotonic_now();
    auto refusal = book->admit(told_scopes(context_), {true, -1}, now, told_ticket_, limit_view_);
    if (refusal) return rejection(*refusal);
    const Int128 answer =
        Int128{std::max<std::int64_t>(context_.view.answer_limit().value_or(0), 0)} *
        std::max<std::int64_t>(context_.view.n, 1);
    const auto input = static_cast<std::int64_t>(context_.body.size()) / kBytesPerToken +
                       std::max<std::int64_t>(held_tokens_, 0);
    const auto tokens = static_cast<std::int64_t>(std::min<Int128>(answer + input, kMostTokens));
    refusal = book->admit(scopes_of(context_), {false, tokens}, now, tokens_ticket_, limit_view_);
    if (refusal) return rejection(*refusal);
    return std::nullopt;
}

/// The request is over: its place is free, and it took as many tokens as it did.
void ClientRequest::settle_limits() {
    if (record_.attempts.empty()) {
        tokens_ticket_.settle(0, monotonic_now());  // refused, or answered by us
    } else if (record_.usage_state != prices::UsageState::kMissing) {
        tokens_ticket_.settle(record_.usage.input_total() + record_.usage.output_total(),
                              monotonic_now());
    }
    tokens_ticket_.release();
    told_ticket_.release();
    caller_ticket_.release();
}

void ClientRequest::add_limit_fields(std::vector<net::Field>& fields) {
    if (limit_texts_[0].empty() && limit_view_.requests.most > 0) {
        limit_texts_[0] = std::to_string(limit_view_.requests.most);
        limit_texts_[1] = std::to_string(limit_view_.requests.left);
        limit_texts_[2] = limits::reset_text(limit_view_.requests.full_in);
    }
    if (limit_texts_[3].empty() && limit_view_.tokens.most > 0) {
        limit_texts_[3] = std::to_string(limit_view_.tokens.most);
        limit_texts_[4] = std::to_string(limit_view_.tokens.left);
        limit_texts_[5] = limits::reset_text(limit_view_.tokens.full_in);
    }
    constexpr std::array<std::string_view, 6> kNames{
        "x-ratelimit-limit-requests",   "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",   "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if (!limit_texts_[i].empty()) fields.push_back({kNames[i], limit_texts_[i]});
    }
}

}  // namespace leeway::app
