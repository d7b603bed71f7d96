#include "app/worst_case.hpp"

#include "app/config_values.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace leeway::app {
namespace {

// What a provider's template adds to the text: at most, for each message and for each request.
constexpr std::int64_t kPerMessage = 16;
constexpr std::int64_t kPerRequest = 512;
// An image or a file that is named by its address is not bounded by the request's bytes. The dearest
// published rule is gpt-4o-mini's 36,835 tokens for one image.
constexpr std::int64_t kPerMedia = 48'000;

/// units × rate, rounded up: an upper bound must not lose the last fraction.
std::int64_t cost_up(std::int64_t units, std::int64_t femto) noexcept {
    return capped((Int128{units} * femto + 999) / 1000);
}

/// The dearest rates that a request can be billed at, in 1e-15 USD per token.
struct DearestRates {
    std::int64_t input = -1;
    std::int64_t output = -1;
    std::int64_t machine = 0;  ///< 1e-12 USD for the whole request
};

DearestRates dearest(const prices::ModelPrices& prices, std::int64_t unix_s,
                     std::chrono::milliseconds longest) {
    DearestRates out;
    for (const prices::RateSheet& sheet : prices.sheets()) {
        if (unix_s < sheet.valid_from || unix_s >= sheet.valid_to) continue;
        if (sheet.machine_hour >= 0) {
            const auto share = std::max<std::uint32_t>(sheet.machine_share, 1);
            const auto cost = Int128{sheet.machine_hour} * longest.count() / 3'600'000 / share + 1;
            out.machine = std::max(out.machine, capped(cost));
            out.input = std::max<std::int64_t>(out.input, 0);
            out.output = std::max<std::int64_t>(out.output, 0);
            continue;
        }
        for (const prices::BucketInfo& info : prices::kBuckets) {
            const auto rate = sheet.rates.effective(info.bucket);
            if (!rate) continue;
            if (info.kind == prices::BucketKind::kInputTokens) {
                out.input = std::max(out.input, rate->value());
            } else if (info.kind == prices::BucketKind::kOutputTokens) {
                out.output = std::max(out.output, rate->value());
            }
        }
    }
    return out;
}

std::string amount_text(budget::Unit unit, std::int64_t amount) {
    if (unit == budget::Unit::kTokens) return fmt::format("{} tokens", amount);
    return to_usd_string(PicoUsd(amount)) + " USD";
}

}  // namespace

std::int64_t capped(Int128 value) noexcept {
    constexpr std::int64_t kMost = std::int64_t{1} << 61;
    return value > Int128{kMost} ? kMost : static_cast<std::int64_t>(value);
}

Int128 input_bound(std::int64_t bytes, std::int64_t messages, std::int64_t media) noexcept {
    return Int128{bytes} + Int128{kPerMessage} * messages + kPerRequest + Int128{kPerMedia} * media;
}

std::optional<std::int64_t> worst_cost(const prices::ModelPrices& prices, std::int64_t unix_s,
                                       std::chrono::milliseconds longest, Int128 input,
                                       Int128 output) noexcept {
    const DearestRates rates = dearest(prices, unix_s, longest);
    if (rates.input < 0 || (rates.output < 0 && output != 0)) return std::nullopt;
    return capped(Int128{cost_up(capped(input), rates.input)} +
                  cost_up(capped(output), std::max<std::int64_t>(rates.output, 0)) + rates.machine);
}

Error price_unknown(const std::string& model) {
    return Error{ErrorCode::kForbidden,
                 fmt::format("The price of model '{}' is not known, and a hard budget "
                             "applies to this request.",
                             model),
                 "give the model a price in the configuration, or use a priced model", "model",
                 "budget_price_unknown"};
}

Error budget_exceeded(const budget::Refusal& refusal) {
    return Error{
        ErrorCode::kRateLimited,
        fmt::format("Budget '{}' ({}) is exceeded: {} of {} are left, this request may "
                    "cost {}. It resets at {}.",
                    refusal.budget, to_string(refusal.scope),
                    amount_text(refusal.unit, refusal.left),
                    amount_text(refusal.unit, refusal.limit),
                    amount_text(refusal.unit, refusal.wanted), format_date(refusal.resets_unix_s)),
        "a lower max_tokens or a cheaper model costs less",
        {},
        "budget_exceeded"};
}

}  // namespace leeway::app
