#include "app/attempt_end.hpp"
#include "app/budget_policy.hpp"
#include "app/client_request.hpp"
#include "app/config_values.hpp"
#include "app/worst_case.hpp"
#include "guard/auth/key_directory.hpp"
#include "wire/openai/request_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace leeway::app {
namespace {

// The legacy completions have a default, and it is this.
constexpr std::int64_t kUsualCompletion = 16;
std::int64_t occurrences(std::string_view text, std::string_view word) noexcept {
    std::int64_t count = 0;
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + word.size())) {
        ++count;
    }
    return count;
}

void add_scope(std::vector<budget::Scope>& out, budget::ScopeKind kind, std::string_view value) {
    if (!value.empty()) out.push_back({kind, std::string(value)});
}

}  // namespace

std::vector<budget::Scope> caller_scopes(const pipeline::RequestContext& context) {
    using budget::ScopeKind;
    std::vector<budget::Scope> out;
    out.push_back({ScopeKind::kGlobal, {}});
    const auto* key = static_cast<const guard::auth::KeySpec*>(context.key);
    if (key != nullptr) {
        add_scope(out, ScopeKind::kTeam, key->team);
        add_scope(out, ScopeKind::kKey, key->name);
    }
    return out;
}

std::vector<budget::Scope> told_scopes(const pipeline::RequestContext& context) {
    using budget::ScopeKind;
    std::vector<budget::Scope> out;
    const pipeline::Dimensions& told = context.dimensions;
    add_scope(out, ScopeKind::kUser, told.user);
    add_scope(out, ScopeKind::kSession, told.session);
    for (std::string_view rest = told.tags; !rest.empty();) {
        const std::size_t comma = rest.find(',');
        add_scope(out, ScopeKind::kTag, rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    return out;
}

std::vector<budget::Scope> scopes_of(const pipeline::RequestContext& context) {
    std::vector<budget::Scope> out = caller_scopes(context);
    for (budget::Scope& scope : told_scopes(context)) out.push_back(std::move(scope));
    return out;
}

/// The most that the request can cost at `context_.model`, with `answer` tokens per choice.
Result<budget::Amount> ClientRequest::worst_case(std::int64_t answer, bool needs_price) const {
    const std::string_view body = context_.body;
    std::int64_t bytes = static_cast<std::int64_t>(body.size());
    for (const auto& edit : context_.edits()) {
        bytes += static_cast<std::int64_t>(edit.change.replacement.size());
    }
    const std::int64_t media = context_.view.has_media ? occurrences(body, "\"image_url\"") +
                                                             occurrences(body, "\"input_audio\"") +
                                                             occurrences(body, "\"file\"") + 1
                                                       : 0;
    const Int128 input = input_bound(bytes, context_.view.message_count, media) +
                         std::max<std::int64_t>(held_tokens_, 0);
    const Int128 output = Int128{answer} * std::max<std::int64_t>(context_.view.n, 1);
    budget::Amount out;
    out.tokens = capped(input + output);
    const auto cost =
        worst_cost(*context_.model->price, context_.arrived_unix_us / 1'000'000,
                   snapshot_->provider(*context_.model).origin.timeouts.total, input, output);
    if (!cost) {
        if (!needs_price) return out;
        return fail(price_unknown(context_.model->name));
    }
    out.pico_usd = *cost;
    return out;
}

/// The longest answer up to `most` whose worst case fits into `room`; 0: not even one token does.
Result<std::int64_t> ClientRequest::longest_answer(const budget::Amount& room, bool needs_price,
                                                   std::int64_t most) const {
    std::int64_t low = 0;
    // The cost rises with the answer, so the largest that fits is found by halving.
    while (low < most) {
        const std::int64_t middle = low + (most - low + 1) / 2;
        const auto worst = worst_case(middle, needs_price);
        if (!worst) return fail(worst.error());
        if (worst->pico_usd <= room.pico_usd && worst->tokens <= room.tokens) {
            low = middle;
        } else {
            most = middle - 1;
        }
    }
    return low;
}

/// How many answer tokens the request may get: its own limit, else the usual one or what the budgets still
/// afford.
Result<std::int64_t> ClientRequest::answer_bound(const budget::Amount& room, bool needs_price) {
    const bool completions = context_.endpoint == pipeline::Endpoint::kCompletions;
    if (context_.endpoint != pipeline::Endpoint::kChatCompletions && !completions) return 0;
    if (const auto limit = context_.view.answer_limit()) {
        // Legacy completions may only rate their prompt: echo with 0 tokens.
        const bool none = completions && *limit == 0;
        if (*limit > 0 || none) return *limit;
        return fail(Error{ErrorCode::kInvalidRequest,
                          "Under a budget the limit on the answer must be at least 1.",
                          {},
                          "max_tokens",
                          "invalid_value"});
    }
    const auto longest =
        longest_answer(room, needs_price, completions ? kUsualCompletion : kUsualAnswer);
    if (!longest) return fail(longest.error());
    return std::max<std::int64_t>(*longest, 1);
}

/// Writes the limit into the request: its own are lowered, a null is replaced, else one is put in.
void ClientRequest::limit_answer(std::int64_t tokens) {
    const std::string text = std::to_string(tokens);
    std::string_view told;
    std::optional<std::pair<std::string_view, wire::openai::Span>> null;
    const bool chat = context_.endpoint == pipeline::Endpoint::kChatCompletions;
    for (const std::string_view key : {"max_completion_tokens", "max_tokens"}) {
        if (!chat && key != "max_tokens") continue;
        const wire::openai::Span value = wire::openai::find_member(context_.body, key);
        if (!value.present()) continue;
        if (value.in(context_.body) == "null") {
            null.emplace(key, value);
            continue;
        }
        const auto own =
            key == "max_tokens" ? context_.view.max_tokens : context_.view.max_completion_tokens;
        told = key;
        if (own.value_or(0) > tokens) {
            context_.edit("budget", json::Edit{value.offset, value.length, text});
        }
    }
    if (told.empty() && null) {
        told = null->first;
        context_.edit("budget", json::Edit{null->second.offset, null->second.length, text});
    } else if (told.empty()) {
        const auto& quirks = snapshot_->provider(*context_.model).quirks;
        told = quirks.max_completion_tokens && chat ? "max_completion_tokens" : "max_tokens";
        context_.edit("budget", wire::openai::insert_member(context_.view, told, text));
    }
    if (!budget_note_.empty()) budget_note_ += ", ";
    budget_note_ += fmt::format("{}={}", told, tokens);
}

/// The next round asks `cheaper`, where that is another model that the caller may use.
void ClientRequest::degrade_to(const pipeline::Model* cheaper) {
    const auto* key = static_cast<const guard::auth::KeySpec*>(context_.key);
    if (cheaper == nullptr || cheaper->name == context_.model->name || !cheaper->disabled.empty())
        return;
    if (key != nullptr && !key->may_use_model(cheaper->name)) return;
    if (context_.local_only && !cheaper->local) return;
    context_.model = places(*cheaper).front();
    budget_note_ = "model=" + cheaper->name;
}

/// Reserves the worst case in all budgets and keeps the intent. nullopt: admitted.
std::optional<pipeline::Reject> ClientRequest::reserve_budget() {
    budget::Book& book = *snapshot_->budgets()->book;
    const auto scopes = scopes_of(context_);
    const std::int64_t now_s = context_.arrived_unix_us / 1'000'000;
    const bool needs_price = book.limits(scopes, budget::Unit::kUsd, true);
    const pipeline::Model* const asked = context_.model;
    if (held_tokens_ < 0 && (needs_price || book.limits(scopes, budget::Unit::kTokens, true))) {
        return pipeline::Reject{
            Error{ErrorCode::kInvalidRequest,
                  "A hard budget applies to this key, and nobody told how long the conversation is "
                  "that is to be continued.",
                  "send its items in `input` instead", "previous_response_id", "budget_unbounded"}};
    }
    std::optional<budget::Refusal> refusal;
    budget::Reservation wanted;
    std::int64_t answer = 0;
    std::int64_t lowered = 0;
    // A race for the rest may take it between the look and the reservation; twice is enough of that.
    for (int round = 0; round < 4; ++round) {
        auto bound = lowered > 0 ? Result<std::int64_t>(lowered)
                                 : answer_bound(book.room(scopes, now_s), needs_price);
        if (!bound) return pipeline::Reject{std::move(bound.error())};
        answer = *bound;
        auto worst = worst_case(answer, needs_price);
        if (!worst) return pipeline::Reject{std::move(worst.error())};
        wanted.operation = context_.id;
        wanted.attempt = attempts_made_ + 1;
        wanted.scopes = scopes;
        wanted.worst = wanted.floor = *worst;
        wanted.now_s = now_s;
        refusal = book.reserve(wanted);
        budget_short_ = refusal && refusal->short_of_slice;
        if (!refusal || budget_short_) break;
        const auto action = snapshot_->on_exceeded(refusal->budget);
        if (action.what == OnExceeded::kDegrade) {
            degrade_to(action.model);
        } else if (action.what == OnExceeded::kLowerMaxTokens && answer > 0) {
            auto longest = longest_answer(book.room(scopes, now_s), needs_price, answer);
            if (!longest) return pipeline::Reject{std::move(longest.error())};
            if (*longest == 0) break;
            lowered = *longest;
        } else {
            break;
        }
    }
    if (refusal) {
        const std::int64_t wait = std::max<std::int64_t>(refusal->resets_unix_s - now_s, 1);
        return pipeline::Reject{budget_exceeded(*refusal), wait};
    }
    if (context_.model != asked) context_.note("budget", "model:" + context_.model->name);
    if (lowered > 0) context_.note("budget", fmt::format("max_tokens:{}", answer));
    budget_answer_ = answer;
    if (answer > 0 && (lowered > 0 || !context_.view.answer_limit())) limit_answer(answer);
    // What is echoed is no output, and cannot be told from it.
    if (!context_.view.echo) {
        budget_output_ = capped(Int128{answer} * std::max<std::int64_t>(context_.view.n, 1));
    }
    if (auto error = keep_intent(wanted)) return pipeline::Reject{std::move(*error), 1};
    return std::nullopt;
}

/// For another attempt, at `context_.model`: each has a reservation of its own, with the limit on the answer that the
/// request got for its first.
std::optional<Error> ClientRequest::reserve_again() {
    budget::Book& book = *snapshot_->budgets()->book;
    const auto scopes = scopes_of(context_);
    const auto worst = worst_case(budget_answer_, book.limits(scopes, budget::Unit::kUsd, true));
    if (!worst) return worst.error();
    budget::Reservation wanted;
    wanted.operation = context_.id;
    wanted.attempt = attempts_made_ + 1;
    wanted.scopes = scopes;
    wanted.worst = wanted.floor = *worst;
    wanted.now_s = context_.arrived_unix_us / 1'000'000;
    if (const auto refusal = book.reserve(wanted)) return budget_exceeded(*refusal);
    return keep_intent(wanted);
}

/// What was reserved lies in the journal before a byte goes upstream. An error: it is released again.
std::optional<Error> ClientRequest::keep_intent(const budget::Reservation& wanted) {
    hold_.open = true;
    hold_.attempt = wanted.attempt;
    hold_.worst = wanted.worst;
    if (worker_.ledger->append(intent_of(wanted))) return std::nullopt;
    release_budget();
    return ledger::no_paid_work();
}

/// What was reserved for an attempt at `context_.model`, as the journal has it.
ledger::Intent ClientRequest::intent_of(const budget::Reservation& wanted) const {
    ledger::Intent intent;
    intent.id = context_.id;
    intent.attempt = wanted.attempt;
    intent.ts_us = context_.arrived_unix_us;
    intent.worst = PicoUsd(wanted.worst.pico_usd);
    intent.worst_tokens = wanted.worst.tokens;
    intent.stream = context_.view.stream;
    intent.key = context_.key_name;
    if (context_.route != nullptr) intent.route = context_.route->name;
    intent.endpoint = endpoint_name();
    intent.model_asked = context_.view.model;
    intent.model = context_.model->name;
    intent.provider = context_.model->provider_name;
    for (const budget::Scope& scope : wanted.scopes) intent.scopes.push_back(to_string(scope));
    return intent;
}

void ClientRequest::release_budget() {
    if (!std::exchange(hold_.open, false)) return;
    (void)snapshot_->budgets()->book->release(context_.id, hold_.attempt);
}

/// Before the row is priced: what nobody knows stays charged at the reservation, in the row as well.
void ClientRequest::settle_budget() {
    const auto ended =
        std::find_if(record_.attempts.begin(), record_.attempts.end(),
                     [&](const ledger::AttemptRow& row) { return row.number == hold_.attempt; });
    if (ended == record_.attempts.end()) {
        release_budget();
        return;
    }
    hold_.open = false;
    if (settle_reservation(*snapshot_->budgets()->book, context_.id, hold_.worst, *ended))
        context_.note("budget", "reserved");
}

Error ClientRequest::passed_reservation() const {
    return Error{ErrorCode::kRateLimited,
                 "The answer grew beyond what the budget had reserved for it and was stopped.",
                 "send the request again with a higher max_tokens",
                 {},
                 "budget_exceeded"};
}

}  // namespace leeway::app
