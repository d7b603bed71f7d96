#include "app/batch_tally.hpp"

namespace leeway::app {
namespace {

/// Unknown as soon as one of them is.
void add_to(std::optional<PicoUsd>& sum, const std::optional<PicoUsd>& more) {
    if (sum) sum = more ? sum->plus(*more) : std::nullopt;
}

void add_to(std::optional<prices::Waterfall>& sum, const std::optional<prices::Waterfall>& more) {
    if (!sum || !more) {
        sum.reset();
        return;
    }
    for (std::size_t i = 0; i < prices::kSavingSteps; ++i) {
        const auto next = sum->saved[i].plus(more->saved[i]);
        if (!next) {
            sum.reset();
            return;
        }
        sum->saved[i] = *next;
        if (more->labels[i] != prices::SavingLabel::kNone) sum->labels[i] = more->labels[i];
    }
}

}  // namespace

void BatchTally::feed(std::string_view bytes) {
    lines_.feed(bytes, [this](std::string_view text) { line(text); });
}

void BatchTally::finish() {
    lines_.finish([this](std::string_view text) { line(text); });
}

void BatchTally::line(std::string_view text) {
    const auto answer = dialect_.read_answer(text, flavour_);
    // Providers do not bill refusals.
    if (answer.status >= 400) return;
    ++answers_;
    if (!answer.valid || answer.usage.state == prices::UsageState::kMissing) {
        known_ = false;
        return;
    }
    add(answer.usage.usage);
}

void BatchTally::add(const prices::Usage& usage) {
    for (const prices::BucketInfo& info : prices::kBuckets)
        usage_[info.bucket] += usage[info.bucket];
    prices::PriceQuery query;
    query.unix_s = unix_s_;
    query.tier = prices::Tier::kBatch;  // whatever class the single answers name
    query.busy_us = -1;
    const prices::Priced priced = prices_.price(usage, query);
    if (priced.price_id != 0) price_id_ = priced.price_id;
    add_to(cost_, priced.cost);
    prices::CounterfactualInput in;
    in.baseline = in.used = &prices_;
    in.same_model = true;
    in.usage = usage;
    in.query = query;
    in.tier_asked = prices::Tier::kStandard;
    in.actual = in.answer_cost = priced.cost;
    const prices::Counterfactual found = prices::counterfactual(in);
    add_to(baseline_, found.baseline);
    add_to(waterfall_, found.waterfall);
}

void BatchTally::fill(ledger::RequestRecord& out) const {
    if (out.attempts.empty()) out.attempts.emplace_back();
    ledger::AttemptRow& attempt = out.attempts.front();
    attempt.tier = prices::Tier::kBatch;
    if (!known_) return;  // missing: what a part of them cost is not what it costs
    out.usage = attempt.usage = usage_;
    out.usage_state = attempt.usage_state =
        usage_ == prices::Usage() ? prices::UsageState::kZero : prices::UsageState::kFinal;
    out.cost = attempt.cost = cost_;
    attempt.price_id = price_id_;
    out.baseline = baseline_;
    out.waterfall = cost_ && baseline_ ? waterfall_ : std::nullopt;
    if (out.waterfall && !out.waterfall->closes(*baseline_, *cost_)) out.waterfall.reset();
}

}  // namespace leeway::app
