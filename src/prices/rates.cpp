#include "prices/rates.hpp"

#include "base/hash.hpp"
#include "prices/scale.hpp"

#include <algorithm>
#include <utility>

namespace leeway::prices {
namespace {

struct Fallback {
    Bucket bucket;
    Bucket rate;  ///< billed at this bucket's rate when it has none of its own
};
// In turn, the first that has a rate. What is not here has no other rate: audio is never text, and a
// one-hour cache write never a five-minute one, where the difference is known to exist.
constexpr std::array kFallbacks{
    Fallback{Bucket::kCachedInput, Bucket::kInput},
    Fallback{Bucket::kCacheWrite, Bucket::kCacheWrite5m},
    Fallback{Bucket::kCacheWrite, Bucket::kInput},
    Fallback{Bucket::kCacheWrite5m, Bucket::kCacheWrite},
    Fallback{Bucket::kCacheWrite5m, Bucket::kInput},
    Fallback{Bucket::kImageInput, Bucket::kInput},
    Fallback{Bucket::kVideoInput, Bucket::kInput},
    Fallback{Bucket::kDocumentInput, Bucket::kInput},
    Fallback{Bucket::kToolPrompt, Bucket::kInput},
    Fallback{Bucket::kCachedAudio, Bucket::kAudioInput},
    Fallback{Bucket::kCachedImage, Bucket::kCachedInput},
    Fallback{Bucket::kCachedImage, Bucket::kImageInput},
    Fallback{Bucket::kCachedImage, Bucket::kInput},
    Fallback{Bucket::kReasoning, Bucket::kOutput},
    Fallback{Bucket::kAcceptedPrediction, Bucket::kOutput},
    Fallback{Bucket::kRejectedPrediction, Bucket::kOutput},
};

std::int32_t second_of_day(std::int64_t unix_s) noexcept {
    const std::int64_t rest = unix_s % kDaySeconds;
    return static_cast<std::int32_t>(rest < 0 ? rest + kDaySeconds : rest);
}

/// busy × hourly ÷ (3.6e9 µs × share), rounded once, half to even.
std::optional<PicoUsd> machine_cost(std::int64_t busy_us, const RateSheet& sheet) noexcept {
    if (busy_us < 0) return std::nullopt;
    const Int128 divisor = Int128{3'600'000'000} * std::max<std::uint32_t>(sheet.machine_share, 1);
    const Int128 product = Int128{busy_us} * sheet.machine_hour;
    Int128 pico = product / divisor;
    const Int128 twice = product % divisor * 2;
    if (twice > divisor || (twice == divisor && pico % 2 != 0)) ++pico;
    if (pico > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
    return PicoUsd(static_cast<std::int64_t>(pico));
}

}  // namespace

std::optional<Tier> tier_of(std::string_view word) noexcept {
    struct Word {
        std::string_view text;
        Tier tier;
    };
    static constexpr std::array kWords{
        Word{"standard", Tier::kStandard},
        Word{"default", Tier::kStandard},
        Word{"auto", Tier::kStandard},
        Word{"on_demand", Tier::kStandard},
        Word{"standard_only", Tier::kStandard},
        Word{"scale", Tier::kStandard},
        Word{"flex", Tier::kFlex},
        Word{"batch", Tier::kBatch},
        Word{"priority", Tier::kPriority},
        Word{"performance", Tier::kPriority},
        Word{"fast", Tier::kFast},
        Word{"STANDARD", Tier::kStandard},
        Word{"ON_DEMAND", Tier::kStandard},
        Word{"ON_DEMAND_FLEX", Tier::kFlex},
        Word{"ON_DEMAND_PRIORITY", Tier::kPriority},
        Word{"BATCH", Tier::kBatch},
        Word{"FLEX", Tier::kFlex},
        Word{"PRIORITY", Tier::kPriority},
    };
    for (const Word& known : kWords) {
        if (known.text == word) return known.tier;
    }
    return std::nullopt;
}

bool Rates::empty() const noexcept {
    return std::all_of(rates_.begin(), rates_.end(), [](std::int64_t rate) { return rate < 0; });
}

std::optional<FemtoUsdPerUnit> Rates::effective(Bucket bucket) const noexcept {
    if (const auto own = (*this)[bucket]) return own;
    for (const Fallback& fallback : kFallbacks) {
        if (fallback.bucket != bucket) continue;
        if (const auto rate = (*this)[fallback.rate]) return rate;
    }
    // A provider that has no price for writing at all does not distinguish it from input.
    if (bucket == Bucket::kCacheWrite1h && !has(Bucket::kCacheWrite) &&
        !has(Bucket::kCacheWrite5m)) {
        return (*this)[Bucket::kInput];
    }
    return std::nullopt;
}

std::optional<PicoUsd> component(const Usage& usage, Bucket bucket, const Rates& rates) noexcept {
    const std::int64_t count = usage[bucket];
    if (count == 0) return PicoUsd(0);
    const auto rate = rates.effective(bucket);
    if (rate) return cost_of(count, *rate);
    if (info_of(bucket).kind == BucketKind::kFact && count > 0) return PicoUsd(0);
    return std::nullopt;
}

std::optional<PicoUsd> cost(const Usage& usage, const Rates& rates) noexcept {
    PicoUsd sum;
    for (const BucketInfo& info : kBuckets) {
        if (usage[info.bucket] == 0) continue;
        const auto part = component(usage, info.bucket, rates);
        if (!part) return std::nullopt;
        const auto next = sum.plus(*part);
        if (!next) return std::nullopt;
        sum = *next;
    }
    return sum;
}

bool RateSheet::holds_at(std::int64_t unix_s) const noexcept {
    if (unix_s < valid_from || unix_s >= valid_to) return false;
    if (whole_day()) return true;
    const std::int32_t second = second_of_day(unix_s);
    if (day_from <= day_to) return second >= day_from && second < day_to;
    return second >= day_from || second < day_to;
}

ModelPrices::ModelPrices(std::vector<RateSheet> sheets) : sheets_(std::move(sheets)) {}

ModelPrices::ModelPrices(const Rates& rates, std::string source) {
    if (rates.empty()) return;
    RateSheet sheet;
    sheet.rates = rates;
    sheet.source = std::move(source);
    sheet.confidence = "configured";
    std::string text;
    for (const BucketInfo& info : kBuckets) {
        if (const auto rate = rates[info.bucket]) {
            text.append(info.name).append(" ").append(std::to_string(rate->value())).append(" ");
        }
    }
    sheet.id = checksum64(text);
    sheets_.push_back(std::move(sheet));
}

const RateSheet* ModelPrices::find(const PriceQuery& query) const noexcept {
    const RateSheet* best = nullptr;
    const auto better = [&](const RateSheet& sheet) {
        if (best == nullptr) return true;
        if (best->region != sheet.region) return !sheet.region.empty();
        if (best->above != sheet.above) return sheet.above > best->above;
        if (best->whole_day() != sheet.whole_day()) return !sheet.whole_day();
        return sheet.valid_from >= best->valid_from;
    };
    for (const RateSheet& sheet : sheets_) {
        if (sheet.tier != query.tier || query.input_tokens <= sheet.above) continue;
        if (!sheet.region.empty() && sheet.region != query.region) continue;
        if (sheet.holds_at(query.unix_s) && better(sheet)) best = &sheet;
    }
    return best;
}

Priced ModelPrices::price(const Usage& usage, PriceQuery query) const noexcept {
    query.input_tokens = usage.input_total();
    const RateSheet* sheet = find(query);
    if (sheet == nullptr) return {};
    if (sheet->machine_hour >= 0) return {machine_cost(query.busy_us, *sheet), sheet->id};
    if (!sheet->rates.has(Bucket::kRequests)) return {cost(usage, sheet->rates), sheet->id};
    // A fee for each request; only Cohere counts in its answers what it bills so.
    Usage with_fee = usage;
    with_fee[Bucket::kRequests] = std::max<std::int64_t>(usage[Bucket::kRequests], 1);
    return {cost(with_fee, sheet->rates), sheet->id};
}

bool ModelPrices::known_at(std::int64_t unix_s) const noexcept {
    PriceQuery query;
    query.unix_s = unix_s;
    const RateSheet* sheet = find(query);
    return sheet != nullptr && (sheet->machine_hour >= 0 || sheet->rates.has(Bucket::kInput));
}

FemtoUsdPerUnit discounted(FemtoUsdPerUnit rate, std::uint32_t basis_points) noexcept {
    return times(rate, 10'000 - std::min<std::uint32_t>(basis_points, 10'000));
}

}  // namespace leeway::prices
