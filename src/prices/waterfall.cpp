#include "prices/waterfall.hpp"

#include <algorithm>

namespace leeway::prices {
namespace {

// Eight amounts below this cannot overflow an int64, here and in the database's constraint.
constexpr std::int64_t kLargest = std::int64_t{1} << 59;

bool small(PicoUsd amount) noexcept {
    return amount.value() < kLargest && amount.value() > -kLargest;
}

/// `usage` with `cached` of its fresh and cached text read from the prompt cache.
Usage with_cached(Usage usage, std::int64_t cached) noexcept {
    const std::int64_t text = usage[Bucket::kInput] + usage[Bucket::kCachedInput];
    usage[Bucket::kCachedInput] =
        std::clamp<std::int64_t>(cached, 0, std::max<std::int64_t>(text, 0));
    usage[Bucket::kInput] = text - usage[Bucket::kCachedInput];
    return usage;
}

/// A model that has no such tier would have served it as usual.
std::optional<PicoUsd> price_of(const ModelPrices& prices, const Usage& usage, PriceQuery query,
                                Tier tier) noexcept {
    query.tier = tier;
    Priced priced = prices.price(usage, query);
    if (priced.price_id == 0 && tier != Tier::kStandard) {
        query.tier = Tier::kStandard;
        priced = prices.price(usage, query);
    }
    return priced.cost;
}

}  // namespace

bool Waterfall::closes(PicoUsd baseline, PicoUsd actual) const noexcept {
    if (!small(baseline) || !small(actual)) return false;
    std::int64_t sum = actual.value();
    for (const PicoUsd amount : saved) {
        if (!small(amount)) return false;
        sum += amount.value();
    }
    return sum == baseline.value();
}

std::uint32_t Waterfall::packed_labels() const noexcept {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < kSavingSteps; ++i) {
        out |= static_cast<std::uint32_t>(labels[i]) << (2 * i);
    }
    return out;
}

void Waterfall::unpack_labels(std::uint32_t packed) noexcept {
    for (std::size_t i = 0; i < kSavingSteps; ++i) {
        labels[i] = static_cast<SavingLabel>((packed >> (2 * i)) & 3);
    }
}

Counterfactual counterfactual(const CounterfactualInput& in) noexcept {
    Counterfactual out;
    // The provider's own count is the truth where the same model answered just now. Elsewhere it is the
    // least that the baseline is taken to have found: too low a baseline claims nothing that is not there.
    const bool simulate = !in.same_model || in.from_cache;
    std::int64_t cached = in.usage[Bucket::kCachedInput];
    if (simulate) cached = std::max(cached, in.simulated_cached);
    const Usage usage = with_cached(in.usage, cached);
    out.baseline = price_of(*in.baseline, usage, in.query, in.tier_asked);
    if (!out.baseline || !in.actual || !in.answer_cost || !small(*out.baseline) ||
        !small(*in.actual) || !small(*in.answer_cost)) {
        return out;
    }
    Waterfall steps;
    const auto set = [&steps](SavingStep step, std::int64_t saved, SavingLabel label) {
        const auto i = static_cast<std::size_t>(step);
        steps.saved[i] = PicoUsd(saved);
        steps.labels[i] = saved == 0 ? SavingLabel::kNone : label;
    };
    const std::int64_t baseline = out.baseline->value();
    const std::int64_t answer = in.answer_cost->value();
    if (in.from_cache) {
        const bool same = in.same_model && !in.in_other_words && usage == in.usage;
        set(SavingStep::kExactCache, baseline - answer,
            same ? SavingLabel::kComputed : SavingLabel::kModelled);
    } else {
        const auto tier = price_of(*in.baseline, usage, in.query, in.query.tier);
        const auto route =
            in.same_model ? tier : price_of(*in.used, usage, in.query, in.query.tier);
        const auto cache = price_of(*in.used, in.usage, in.query, in.query.tier);
        if (!tier || !route || !cache || !small(*tier) || !small(*route) || !small(*cache))
            return out;
        set(SavingStep::kTier, baseline - tier->value(), SavingLabel::kComputed);
        set(SavingStep::kRoute, tier->value() - route->value(), SavingLabel::kModelled);
        set(SavingStep::kPromptCache, route->value() - cache->value(), SavingLabel::kModelled);
        set(SavingStep::kBilling, cache->value() - answer, SavingLabel::kComputed);
    }
    set(SavingStep::kAttempts, answer + in.gateway_cost.value() - in.actual->value(),
        SavingLabel::kComputed);
    set(SavingStep::kGateway, -in.gateway_cost.value(), SavingLabel::kComputed);
    if (steps.closes(*out.baseline, *in.actual)) out.waterfall = steps;
    return out;
}

}  // namespace leeway::prices
