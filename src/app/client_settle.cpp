#include "app/client_request.hpp"
#include "app/token_learner.hpp"
#include "base/money.hpp"
#include "base/strings.hpp"
#include "prices/prompt_cache_model.hpp"
#include "prices/waterfall.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace leeway::app {
namespace {

std::string_view source_name(ledger::Source source) {
    switch (source) {
        case ledger::Source::kUpstream: return "upstream";
        case ledger::Source::kExactCache: return "exact_cache";
        case ledger::Source::kGateway: return "gateway";
        case ledger::Source::kSemanticCache: return "semantic_cache";
    }
    return "gateway";
}

/// One for the process: what one worker's request put into a prompt cache, another's finds there.
prices::PromptCacheModel& simulated_prompt_cache() {
    static prices::PromptCacheModel model;
    return model;
}

/// The sum of what the attempts cost; unknown when one of them is.
std::optional<PicoUsd> total_cost(const std::vector<ledger::AttemptRow>& attempts) {
    PicoUsd sum;
    for (const ledger::AttemptRow& attempt : attempts) {
        if (!attempt.cost) return std::nullopt;
        const auto next = sum.plus(*attempt.cost);
        if (!next) return std::nullopt;
        sum = *next;
    }
    return sum;
}

}  // namespace

void ClientRequest::price(const pipeline::Outcome& outcome) {
    record_.cost = outcome.cost;
    record_.usage = outcome.usage;
    record_.usage_state = outcome.usage_state;
    if (outcome.status != 200 || replayed_) {
        record_.baseline = record_.cost;  // nothing was answered, so nothing was saved
        if (record_.cost && prices::Waterfall().closes(*record_.cost, *record_.cost))
            record_.waterfall.emplace();
        return;
    }
    if (outcome.usage_state == prices::UsageState::kMissing) return;
    compare(outcome);
}

// What the answer would have cost without us, and which step of ours saved what.
void ClientRequest::compare(const pipeline::Outcome& outcome) {
    const pipeline::Model* baseline =
        context_.route == nullptr ? nullptr : context_.route->baseline;
    if (baseline == nullptr) baseline = context_.asked;
    if (baseline == nullptr) baseline = context_.model;
    // Which of its places a model was asked at is no saving.
    if (baseline->name == context_.model->name) baseline = context_.model;
    prices::CounterfactualInput in;
    in.baseline = baseline->price.get();
    in.used = context_.model->price.get();
    in.same_model = baseline == context_.model;
    in.from_cache = outcome.from_stage;
    in.in_other_words = record_.source == ledger::Source::kSemanticCache;
    in.usage = outcome.usage;
    in.simulated_cached = simulated_prompt_cache().look_and_keep(
        context_.key_name, baseline->name, context_.view.messages.in(context_.body),
        outcome.usage.input_total(), context_.arrived_unix_us / 1'000'000);
    in.query.unix_s = context_.arrived_unix_us / 1'000'000;
    in.query.busy_us = -1;
    in.answer_cost = PicoUsd(0);
    for (const ledger::AttemptRow& attempt : record_.attempts) {
        if (attempt.number != ended_last_) continue;
        in.query.busy_us = attempt.total_us;
        in.query.tier = attempt.tier;
        if (!outcome.from_stage) in.answer_cost = attempt.cost;
    }
    // What was billed is what the caller asked for, unless we asked for it.
    in.tier_asked = context_.tier_word.empty() ? in.query.tier : prices::Tier::kStandard;
    in.actual = record_.cost;
    const prices::Counterfactual found = prices::counterfactual(in);
    record_.baseline = found.baseline;
    record_.waterfall = found.waterfall;
}

// Runs once, before the caller gets the last byte: a row that is not kept yet must not be acknowledged.
void ClientRequest::settle(pipeline::Outcome outcome, ledger::EndState end) {
    if (settled_) return;
    settled_ = true;
    answered_ = outcome.complete || outcome.from_stage;
    note_left(outcome, end);
    outcome.cost = total_cost(record_.attempts);
    // What another model gave, or one that our limit cut short: not what others shall get from the cache.
    const bool altered =
        fell_back_ || tried_ ||
        (!budget_note_.empty() && (budget_note_.starts_with("model=") || context_.view.n > 1 ||
                                   outcome.finish_reason == "length"));
    if (!altered) {
        runner_.on_outcome(outcome);
    } else {
        pipeline::Outcome ours = outcome;
        ours.no_store = true;
        runner_.on_outcome(ours);
    }

    record_.total_us = to_us(monotonic_now() - exchange_.arrival());
    // Of two attempts at a time the ledger takes them in their order.
    std::sort(record_.attempts.begin(), record_.attempts.end(),
              [](const auto& a, const auto& b) { return a.number < b.number; });
    Duration upstream = waited_;
    for (const auto& attempt : record_.attempts)
        upstream += std::chrono::microseconds(attempt.total_us);
    if (hold_.open) settle_budget();
    record_.http_status = outcome.status;
    record_.end = end;
    if (!row_is_written_) price(outcome);
    note_outcome(outcome);
    settle_limits();
    if (resolved_ && !row_is_written_ && worker_.ledger != nullptr) {
        record_.id = context_.id;
        record_.ts_us = context_.arrived_unix_us;
        record_.key = context_.key_name;
        record_.route = context_.route == nullptr ? std::string() : context_.route->name;
        record_.endpoint = endpoint_name();
        record_.model_asked = context_.view.model;
        record_.model = context_.model->name;
        record_.provider = context_.model->provider_name;
        pipeline::Dimensions& told = context_.dimensions;
        record_.user = std::move(told.user);
        record_.tags = std::move(told.tags);
        record_.session = std::move(told.session);
        record_.agent = std::move(told.agent);
        record_.stream = context_.view.stream;
        record_.notes = context_.notes;
        if (!worker_.ledger->append(record_)) {
            worker_.metrics.rows_lost();
            spdlog::critical(
                "id={} the ledger could not keep this request's row: is the disk full?",
                context_.id.text());
        }
    }
    telemetry::RequestSample sample;
    sample.endpoint = endpoint_name();
    if (context_.route != nullptr) sample.route = context_.route->name;
    if (context_.model != nullptr) sample.model = context_.model->name;
    sample.source = source_name(record_.source);
    sample.status = outcome.status;
    sample.total = std::chrono::microseconds(record_.total_us);
    sample.overhead = sample.total - upstream;
    sample.usage = outcome.usage;
    sample.cost = record_.cost;
    sample.baseline = record_.baseline;
    sample.cost_unknown = !record_.cost;
    worker_.metrics.request(sample);
    teach(outcome);
}

// What a provider counted teaches our own counts of models whose tokenizer is not public. Only the copy of
// some requests is made here; the learner's thread does the rest.
void ClientRequest::teach(const pipeline::Outcome& outcome) const {
    TokenLearner* learner = snapshot_->learner();
    if (learner == nullptr || !outcome.complete || outcome.from_stage) return;
    const TokenRule& rule = snapshot_->token_rule(*context_.model);
    if (rule.calibration == nullptr || outcome.usage_state != prices::UsageState::kFinal) return;
    const bool known = context_.endpoint == pipeline::Endpoint::kChatCompletions && !unreadable_ &&
                       !context_.view.has_media && context_.view.n <= 1;
    if (!known || record_.attempts.empty()) return;
    // Another model's count, where an attempt at another one gave the answer.
    const bool ours = std::any_of(
        record_.attempts.begin(), record_.attempts.end(), [this](const ledger::AttemptRow& row) {
            return row.number == ended_last_ && row.model == context_.model->name;
        });
    if (!ours) return;
    const std::int64_t now_us = context_.arrived_unix_us + record_.total_us;
    const std::size_t size = context_.body.size();
    if (size > TokenLearner::kMostBytes || !rule.calibration->take_turn(now_us)) return;
    Lesson lesson{rule.model,
                  rule.vocabulary,
                  rule.calibration,
                  context_.model->upstream_name,
                  {},
                  outcome.usage.input_total()};
    if (context_.edits().empty()) {
        lesson.body = context_.body;
    } else {
        auto edited = edited_body();
        if (!edited) return;
        lesson.body = std::move(*edited);
    }
    learner->offer(std::move(lesson));
}

// SDKs tell their callers the id that stands under the name their own vendor gives it: the provider's, else ours.
void ClientRequest::add_request_id(std::vector<net::Field>& fields) const {
    const std::string_view wanted =
        dialect_ == wire::Dialect::kAnthropic ? "request-id" : "x-request-id";
    std::string_view id = header_texts_[0];
    for (const auto& [name, value] : upstream_fields_) {
        if (equals_ignore_case(name, wanted)) return;
        if (equals_ignore_case(name, "request-id") || equals_ignore_case(name, "x-request-id"))
            id = value;
    }
    fields.push_back({wanted, id});
}

// What every answer says about itself. `final_figures`: the cost is known by now.
std::span<const net::Field> ClientRequest::answer_fields(std::string_view content_type,
                                                         bool final_figures) {
    fields_.clear();
    fields_.reserve(24);
    if (!content_type.empty()) fields_.push_back({"content-type", content_type});
    for (const auto& [name, value] : upstream_fields_) {
        // Ours tells the form of what we wrote.
        if (!content_type.empty() && equals_ignore_case(name, "content-type")) continue;
        fields_.push_back({name, value});
    }
    header_texts_[0] = context_.id.text();
    add_request_id(fields_);
    fields_.push_back({"x-leeway-id", header_texts_[0]});
    add_limit_fields(fields_);
    if (!resolved_) return fields_;
    fields_.push_back({"x-leeway-model", context_.model->name});
    if (context_.route != nullptr) fields_.push_back({"x-leeway-route", context_.route->name});
    if (const std::size_t attempts = record_.attempts.size() + (attempt_open_ ? 1 : 0);
        attempts > 1) {
        header_texts_[3] = std::to_string(attempts);
        fields_.push_back({"x-leeway-attempts", header_texts_[3]});
    }
    if (!context_.cache_status.empty())
        fields_.push_back({"x-leeway-cache", context_.cache_status});
    if (!context_.semantic_route.empty())
        fields_.push_back({"x-leeway-semantic-route", context_.semantic_route});
    if (!context_.route_arguments.empty())
        fields_.push_back({"x-leeway-route-arguments", context_.route_arguments});
    if (!budget_note_.empty()) fields_.push_back({"x-leeway-budget", budget_note_});
    if (!losses_.empty()) fields_.push_back({"x-leeway-dropped", losses_});
    if (!context_.notes.empty()) fields_.push_back({"x-leeway-stages", context_.notes});
    if (!final_figures) return fields_;
    if (record_.cost) {
        header_texts_[1] = to_usd_string(*record_.cost);
        fields_.push_back({"x-leeway-cost-usd", header_texts_[1]});
    } else {
        fields_.push_back({"x-leeway-cost-usd", "unknown"});
    }
    if (record_.baseline) {
        header_texts_[2] = to_usd_string(*record_.baseline);
        fields_.push_back({"x-leeway-baseline-usd", header_texts_[2]});
    } else {
        fields_.push_back({"x-leeway-baseline-usd", "unknown"});
    }
    return fields_;
}

}  // namespace leeway::app
