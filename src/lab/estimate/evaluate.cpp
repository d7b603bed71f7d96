#include "lab/estimate/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace leeway::lab {
namespace {

using prices::Bucket;

constexpr std::size_t kRequests = 200;  // of a flow in a draw
constexpr double kIntervalWidth = 3.92;  // standard deviations in a 95 % interval
constexpr std::int64_t kMonthSeconds = 30 * 86'400;
// As prices/prompt_cache_model.hpp has them.
constexpr std::int64_t kCacheSeconds = 300;
constexpr std::int64_t kLeastCached = 1024;
constexpr std::int64_t kCacheStep = 128;

/// SplitMix64 (Steele et al. 2014): small, and the same everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }
    /// Strictly between 0 and 1.
    double share() noexcept { return (static_cast<double>(next() >> 11U) + 0.5) * 0x1p-53; }
    std::size_t below(std::size_t n) noexcept {
        return static_cast<std::size_t>(static_cast<UInt128>(next()) * n >> 64U);
    }

private:
    std::uint64_t state_;
};

/// Fills `out` so that each of its n-ths of (0, 1) has one value, in random order.
void latin(std::vector<double>& out, Random& random) {
    const std::size_t n = out.size();
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t j = random.below(i + 1);
        const double value = (static_cast<double>(i) + random.share()) / static_cast<double>(n);
        out[i] = out[j];
        out[j] = value;
    }
}

PicoUsdSum times(PicoUsdSum sum, std::int64_t by, std::int64_t over) {
    const Int128 product = sum.value() * by;
    Int128 out = product / over;
    const Int128 twice = product % over * 2;
    if (twice > over || (twice == over && out % 2 != 0)) ++out;
    return PicoUsdSum(out);
}

/// Where the money of one call went.
struct Spent {
    std::int64_t total = 0;
    std::array<std::int64_t, kPartCount> by_part{};
    std::array<std::int64_t, prices::kBucketCount> by_bucket{};
};

constexpr const char* kUnpricedPart = "a part of it has no price";
constexpr const char* kTooMuch = "one request costs more than 9 million USD";

/// False: the sum does not fit.
bool add_cost(std::int64_t& sum, std::int64_t cost) {
    return !__builtin_add_overflow(sum, cost, &sum);
}

/// What is drawn for a call.
struct Drawn {
    std::size_t prompt = 0;
    std::int64_t nth = 0;  ///< call of its kind in the request, from 0
    double length = 0.5;
    double reasoning = 0.5;
    double level = 0;  ///< standard deviations
    double count = 0;  ///< likewise
    bool warm = false;  ///< the constant part is in the provider's cache
};

/// A call's tokens, and how its input lies in the buckets.
struct Laid {
    PartTokens tokens{};
    prices::Usage usage;
};

class Pricer {
public:
    Pricer(const PreparedCall& call, const Switches& switches, std::int64_t unix_s)
        : call_(call), switches_(switches) {
        query_.unix_s = unix_s;
        query_.tier = switches.tier;
        query_.region = switches.region;
        const prices::RateSheet* sheet = call.model->prices.find(query_);
        if (sheet != nullptr) {
            reads_ = sheet->rates.has(Bucket::kCachedInput);
            if (sheet->rates.has(Bucket::kCacheWrite5m)) {
                write_ = Bucket::kCacheWrite5m;
            } else if (sheet->rates.has(Bucket::kCacheWrite)) {
                write_ = Bucket::kCacheWrite;
            }
        }
    }

    [[nodiscard]] Laid lay(const Drawn& drawn) const;
    /// Why the price is not known; nullptr: it is.
    [[nodiscard]] const char* price(const Laid& laid, Spent& out) const;

private:
    void lay_cache(const CountedPrompt& prompt, const Drawn& drawn, std::int64_t text,
                   Laid& out) const;

    const PreparedCall& call_;
    const Switches& switches_;
    prices::PriceQuery query_;
    bool reads_ = false;
    Bucket write_ = Bucket::kInput;
};

std::int64_t cacheable(std::int64_t tokens) {
    return tokens < kLeastCached ? 0 : tokens / kCacheStep * kCacheStep;
}

void Pricer::lay_cache(const CountedPrompt& prompt, const Drawn& drawn, std::int64_t text,
                       Laid& out) const {
    std::int64_t read = 0;
    std::int64_t written = 0;
    // Of recorded calls only the cache's part is known, not what a cache could have held.
    const bool recorded_only = prompt.constant == 0 && call_.call->history_per_call == 0;
    if (!switches_.cache || (*switches_.cache && recorded_only)) {
        read = std::min(prompt.cached, text);
    } else if (*switches_.cache && reads_) {
        const std::int64_t constant = cacheable(std::min(prompt.constant, text));
        const std::int64_t growth = call_.call->history_per_call;
        if (growth > 0) {
            // A growing conversation: what the last call sent is there, all of this one is kept.
            const std::int64_t before = drawn.nth > 0 ? text - growth : 0;
            read = std::max(cacheable(before), drawn.warm || drawn.nth > 0 ? constant : 0);
            written = std::max<std::int64_t>(cacheable(text) - read, 0);
        } else if (drawn.nth > 0 || drawn.warm) {
            read = constant;
        } else {
            written = constant;
        }
        if (write_ == Bucket::kInput) written = 0;  // writing costs as sending
    }
    out.usage[Bucket::kCachedInput] = read;
    if (written > 0) out.usage[write_] = written;
    out.usage[Bucket::kInput] = text - read - written;
}

Laid Pricer::lay(const Drawn& drawn) const {
    const CountedPrompt& prompt = call_.prompts[drawn.prompt];
    Laid out;
    out.tokens = prompt.tokens;
    out.tokens[index_of(Part::kHistory)] += call_.call->history_per_call * drawn.nth;
    if (switches_.halved && *switches_.halved < Part::kOutput) {
        out.tokens[index_of(*switches_.halved)] /= 2;
    }
    const std::int64_t width = prompt.count.high - prompt.count.low;
    if (width > 0 && prompt.count.tokens > 0) {
        const double off = static_cast<double>(width) / kIntervalWidth * drawn.count /
                           static_cast<double>(prompt.count.tokens);
        for (std::size_t i = 0; i < kInputParts; ++i) {
            out.tokens[i] = std::max<std::int64_t>(
                std::llround(static_cast<double>(out.tokens[i]) * (1 + off)), 0);
        }
    }
    const std::int64_t images = out.tokens[index_of(Part::kImages)];
    const auto begin = out.tokens.begin();
    const std::int64_t input = std::accumulate(begin, begin + kInputParts, std::int64_t{0});
    lay_cache(prompt, drawn, input - images, out);
    out.usage[Bucket::kImageInput] = images;

    const Answers& answers = call_.answers;
    std::int64_t output = answers.lengths.at(input, drawn.length, drawn.level);
    std::int64_t reasoning = output * answers.reasoning_permille / 1000;
    output -= reasoning;
    if (answers.reasoning) reasoning += answers.reasoning->at(input, drawn.reasoning, drawn.level);
    if (switches_.halved == Part::kOutput) output /= 2;
    if (switches_.halved == Part::kReasoning) reasoning /= 2;
    output = output * switches_.output_percent / 100;
    auto most = switches_.max_tokens ? switches_.max_tokens : call_.call->max_tokens;
    if (most) {
        reasoning = std::min(reasoning, *most);
        output = std::min(output, *most - reasoning);
    }
    out.tokens[index_of(Part::kOutput)] = output;
    out.tokens[index_of(Part::kReasoning)] = reasoning;
    out.usage[Bucket::kOutput] = output;
    out.usage[Bucket::kReasoning] = reasoning;
    return out;
}

const char* Pricer::price(const Laid& laid, Spent& out) const {
    prices::PriceQuery query = query_;
    query.input_tokens = laid.usage.input_total();
    const prices::RateSheet* sheet = call_.model->prices.find(query);
    if (sheet == nullptr || sheet->machine_hour >= 0) return kUnpricedPart;
    PartTokens left = laid.tokens;
    left[index_of(Part::kImages)] = 0;
    // A cache holds the beginning of a prompt, so the first parts are what is read and written.
    constexpr std::array kInOrder{Bucket::kCachedInput, Bucket::kCacheWrite5m, Bucket::kCacheWrite,
                                  Bucket::kInput};
    for (const Bucket bucket : kInOrder) {
        const std::int64_t tokens = laid.usage[bucket];
        if (tokens == 0) continue;
        const auto cost = prices::component(laid.usage, bucket, sheet->rates);
        if (!cost) return kUnpricedPart;
        PartTokens taken{};
        std::int64_t rest = tokens;
        for (std::size_t i = 0; i < kInputParts; ++i) {
            taken[i] = std::min(rest, left[i]);
            left[i] -= taken[i];
            rest -= taken[i];
        }
        std::array<std::int64_t, kInputParts> money{};
        divide(cost->value(), taken.data(), money.data(), kInputParts);
        for (std::size_t i = 0; i < kInputParts; ++i) out.by_part[i] += money[i];
        out.by_bucket[prices::index_of(bucket)] += cost->value();
        if (!add_cost(out.total, cost->value())) return kTooMuch;
    }
    constexpr std::array kWhole{std::pair{Bucket::kImageInput, Part::kImages},
                                std::pair{Bucket::kOutput, Part::kOutput},
                                std::pair{Bucket::kReasoning, Part::kReasoning}};
    for (const auto& [bucket, part] : kWhole) {
        if (laid.usage[bucket] == 0) continue;
        const auto cost = prices::component(laid.usage, bucket, sheet->rates);
        if (!cost) return kUnpricedPart;
        out.by_part[index_of(part)] += cost->value();
        out.by_bucket[prices::index_of(bucket)] += cost->value();
        if (!add_cost(out.total, cost->value())) return kTooMuch;
    }
    return nullptr;
}

/// Costs of a flow's requests, draw after draw.
struct Sample {
    std::vector<std::int64_t> costs;  ///< kRequests of each draw
    std::array<Int128, kPartCount> by_part{};
    std::array<Int128, prices::kBucketCount> by_bucket{};
    std::array<Int128, kPartCount> tokens{};
    std::string unknown;  ///< why costs are not known

    void add(std::size_t request, const Pricer& pricer, const Laid& laid, std::int64_t billed) {
        for (std::size_t p = 0; p < kPartCount; ++p) {
            tokens[p] += Int128{laid.tokens[p]} * billed;
        }
        Spent spent;
        if (unknown.empty()) {
            for (std::int64_t i = 0; i < billed; ++i) {
                const char* why = pricer.price(laid, spent);
                if (why == nullptr && i + 1 < billed) continue;
                if (why == nullptr && !add_cost(costs[request], spent.total)) why = kTooMuch;
                if (why != nullptr) unknown = why;
                break;
            }
        }
        for (std::size_t p = 0; p < kPartCount; ++p) by_part[p] += spent.by_part[p];
        for (std::size_t b = 0; b < prices::kBucketCount; ++b) by_bucket[b] += spent.by_bucket[b];
    }

    /// What `n` requests cost in the world of one draw.
    [[nodiscard]] PicoUsdSum sum_of(std::int64_t n, std::size_t draw, Random& random) const {
        const std::int64_t* values = costs.data() + draw * kRequests;
        PicoUsdSum sum;
        if (n <= static_cast<std::int64_t>(kRequests)) {
            for (std::int64_t i = 0; i < n; ++i) sum.add(PicoUsd(values[random.below(kRequests)]));
            return sum;
        }
        for (std::size_t i = 0; i < kRequests; ++i) sum.add(PicoUsd(values[i]));
        const double mean = static_cast<double>(sum.value()) / kRequests;
        double squares = 0;
        for (std::size_t i = 0; i < kRequests; ++i) {
            const double off = static_cast<double>(values[i]) - mean;
            squares += off * off;
        }
        const double error = std::sqrt(squares / (kRequests - 1) * static_cast<double>(n)) *
                             normal_quantile(random.share());
        PicoUsdSum out = times(sum, n, kRequests);
        out.add(PicoUsdSum(static_cast<Int128>(error)));
        return std::max(out, PicoUsdSum());
    }
};

/// Draws the requests of one flow. Without a price (`out.unknown`) only tokens are added up.
void draw_flow(const PreparedFlow& flow, const Switches& switches, const Evaluation& how,
               Random& random, Sample& out) {
    out.costs.assign(how.draws * kRequests, 0);
    const double per_window = static_cast<double>(flow.requests_per_month) *
                              static_cast<double>(kCacheSeconds) /
                              static_cast<double>(kMonthSeconds);
    const double warm = 1 - std::exp(-per_window);  // arrivals of a Poisson process
    std::vector<double> levels(how.draws);
    std::vector<double> counts(how.draws);
    std::vector<double> length(kRequests);
    std::vector<double> prompt(kRequests);
    std::vector<std::int64_t> calls(kRequests);
    latin(counts, random);
    for (const PreparedCall& call : flow.calls) {
        const Pricer pricer(call, switches, how.unix_s);
        const Call& kind = *call.call;
        const auto span = static_cast<std::size_t>(kind.times_most - kind.times_least + 1);
        latin(levels, random);
        for (std::size_t draw = 0; draw < how.draws; ++draw) {
            Drawn drawn;
            drawn.level = normal_quantile(levels[draw]);
            drawn.count = normal_quantile(counts[draw]);
            latin(prompt, random);
            for (std::int64_t& count : calls) {
                count = kind.times_least + static_cast<std::int64_t>(random.below(span));
            }
            for (drawn.nth = 0; drawn.nth < kind.times_most; ++drawn.nth) {
                latin(length, random);
                for (std::size_t i = 0; i < kRequests; ++i) {
                    if (drawn.nth >= calls[i]) continue;
                    drawn.prompt = static_cast<std::size_t>(
                        prompt[i] * static_cast<double>(call.prompts.size()));
                    drawn.length = length[i];
                    drawn.reasoning = length[i];
                    drawn.warm = random.share() < warm;
                    const std::int64_t billed =
                        random.below(1000) < static_cast<std::size_t>(switches.retries_permille)
                            ? 2
                            : 1;
                    out.add(draw * kRequests + i, pricer, pricer.lay(drawn), billed);
                }
            }
        }
    }
}

/// The value that `percent` of the values do not pass (nearest rank).
PicoUsdSum percentile(const std::vector<PicoUsdSum>& ordered, std::size_t percent) {
    const std::size_t rank = (ordered.size() * percent + 99) / 100;
    return ordered[std::max<std::size_t>(rank, 1) - 1];
}

Spread spread_of(std::vector<PicoUsdSum> values, PicoUsdSum mean) {
    std::sort(values.begin(), values.end());
    return {percentile(values, 10), percentile(values, 50), percentile(values, 90),
            percentile(values, 99), mean};
}

/// Quantiles of requests of all flows, each flow as frequent as its weight.
Spread spread_of_requests(const std::vector<Sample>& samples,
                          const std::vector<std::int64_t>& weights, PicoUsdSum mean) {
    std::vector<std::pair<std::int64_t, std::int64_t>> all;
    Int128 whole = 0;
    for (std::size_t f = 0; f < samples.size(); ++f) {
        if (weights[f] == 0) continue;
        for (const std::int64_t cost : samples[f].costs) all.emplace_back(cost, weights[f]);
        whole += Int128{weights[f]} * static_cast<std::int64_t>(samples[f].costs.size());
    }
    std::sort(all.begin(), all.end());
    Spread out;
    out.mean = mean;
    Int128 passed = 0;
    std::size_t next = 0;
    const std::array<std::pair<int, PicoUsdSum*>, 4> wanted{
        std::pair{10, &out.p10}, {50, &out.p50}, {90, &out.p90}, {99, &out.p99}};
    for (const auto& [cost, weight] : all) {
        passed += weight;
        while (next < wanted.size() && passed * 100 >= whole * wanted[next].first) {
            *wanted[next++].second = PicoUsdSum(Int128{cost});
        }
    }
    return out;
}

std::string missing_price(const Prepared& flows, const Switches& switches, std::int64_t unix_s) {
    for (const PreparedFlow& flow : flows) {
        for (const PreparedCall& call : flow.calls) {
            const PricedModel& model = *call.model;
            if (model.priced_as.empty()) {
                return fmt::format("no price is known for '{}'", model.name);
            }
            prices::PriceQuery query;
            query.unix_s = unix_s;
            query.tier = switches.tier;
            query.region = switches.region;
            const prices::RateSheet* sheet = model.prices.find(query);
            if (sheet == nullptr) {
                return fmt::format("'{}' has no {} price today", model.priced_as,
                                   to_string(switches.tier));
            }
            if (sheet->machine_hour >= 0) {
                return fmt::format("'{}' is priced per machine-hour", model.priced_as);
            }
            if (!sheet->rates.known()) {
                return fmt::format("'{}' has no price for input and output", model.priced_as);
            }
        }
    }
    return {};
}

/// Means over all flows in the proportions of `weights`. Each sum is that of a request, exact to the
/// picodollar: what rounding leaves over goes to the largest.
template <std::size_t N>
void mean_of(const std::vector<Sample>& samples, const std::vector<std::int64_t>& weights,
             std::array<Int128, N> Sample::* field, PicoUsdSum mean,
             std::array<PicoUsdSum, N>& out) {
    const std::int64_t whole = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
    Int128 given = 0;
    std::size_t largest = 0;
    for (std::size_t i = 0; i < N; ++i) {
        Int128 sum = 0;
        for (std::size_t f = 0; f < samples.size(); ++f) {
            sum += (samples[f].*field)[i] / static_cast<std::int64_t>(samples[f].costs.size()) *
                   weights[f];
        }
        out[i] = PicoUsdSum(sum / whole);
        given += out[i].value();
        if (out[i] > out[largest]) largest = i;
    }
    out[largest].add(PicoUsdSum(mean.value() - given));
}

}  // namespace

Outcome evaluate(const Prepared& flows, const Switches& switches, const Evaluation& how) {
    Outcome out;
    if (flows.empty()) return out;
    out.unknown_because = missing_price(flows, switches, how.unix_s);
    Random random(how.seed);
    std::vector<Sample> samples(flows.size());
    std::vector<std::int64_t> weights;
    for (std::size_t f = 0; f < flows.size(); ++f) {
        samples[f].unknown = out.unknown_because;
        draw_flow(flows[f], switches, how, random, samples[f]);
        if (out.known()) out.unknown_because = samples[f].unknown;
        weights.push_back(flows[f].requests_per_month);
    }
    const std::int64_t month = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
    if (month == 0) std::fill(weights.begin(), weights.end(), 1);
    const std::int64_t whole = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});

    const auto size = static_cast<std::int64_t>(how.draws * kRequests);
    for (std::size_t p = 0; p < kPartCount; ++p) {
        Int128 tokens = 0;
        for (std::size_t f = 0; f < flows.size(); ++f) tokens += samples[f].tokens[p] * weights[f];
        out.tokens[p] = static_cast<std::int64_t>((tokens / size + whole / 2) / whole);
    }
    if (!out.known()) return out;
    Int128 weighted = 0;
    for (std::size_t f = 0; f < flows.size(); ++f) {
        Int128 sum = 0;
        for (const std::int64_t cost : samples[f].costs) sum += cost;
        weighted += sum * weights[f];
        const PicoUsdSum mean = times(PicoUsdSum(sum), 1, size);
        out.flows.push_back({flows[f].flow->name, flows[f].requests_per_month,
                             spread_of_requests({samples[f]}, {1}, mean),
                             times(PicoUsdSum(sum), flows[f].requests_per_month, size)});
    }
    const PicoUsdSum mean = times(PicoUsdSum(weighted / size), 1, whole);
    out.per_request = spread_of_requests(samples, weights, mean);
    mean_of(samples, weights, &Sample::by_part, mean, out.by_part);
    mean_of(samples, weights, &Sample::by_bucket, mean, out.by_bucket);
    std::vector<std::int64_t> of_thousand(flows.size());
    divide(1000, weights.data(), of_thousand.data(), flows.size());
    std::vector<PicoUsdSum> thousands;
    std::vector<PicoUsdSum> months;
    std::size_t covered = 0;
    for (std::size_t draw = 0; draw < how.draws; ++draw) {
        PicoUsdSum a_thousand;
        PicoUsdSum a_month;
        for (std::size_t f = 0; f < flows.size(); ++f) {
            a_thousand.add(samples[f].sum_of(of_thousand[f], draw, random));
            a_month.add(samples[f].sum_of(flows[f].requests_per_month, draw, random));
        }
        thousands.push_back(a_thousand);
        months.push_back(a_month);
        if (how.budget && a_month <= PicoUsdSum(Int128{how.budget->value()})) ++covered;
    }
    out.per_thousand =
        spread_of(std::move(thousands), times(PicoUsdSum(weighted / size), 1000, whole));
    if (month > 0) {
        out.per_month =
            spread_of(std::move(months), times(PicoUsdSum(weighted / size), month, whole));
        if (how.budget) {
            out.within_budget_permille = static_cast<std::int64_t>(covered * 1000 / how.draws);
        }
    }
    if (how.budget) {
        const Spread& basis = out.per_month ? *out.per_month : out.per_thousand;
        if (basis.p90.value() > 0) {
            out.most_requests = static_cast<std::int64_t>(
                Int128{how.budget->value()} * (month > 0 ? month : 1000) / basis.p90.value());
        }
    }
    return out;
}

std::vector<Lever> rank_levers(const Prepared& flows, const Switches& switches,
                               const Evaluation& how) {
    Evaluation quick = how;
    quick.draws = std::min<std::size_t>(how.draws, 100);
    quick.budget.reset();
    const auto mean_of_all = [](const Outcome& outcome) {
        return outcome.per_month ? outcome.per_month->mean : outcome.per_thousand.mean;
    };
    const Outcome base = evaluate(flows, switches, quick);
    std::vector<Lever> out;
    if (!base.known()) return out;
    const auto add = [&](std::string what, const Switches& changed) {
        const Outcome other = evaluate(flows, changed, quick);
        if (!other.known()) return;
        const PicoUsdSum saves = mean_of_all(base).minus(mean_of_all(other));
        if (saves.value() != 0) out.push_back({std::move(what), saves});
    };
    for (std::size_t p = 0; p < kPartCount; ++p) {
        const auto part = static_cast<Part>(p);
        if (part == Part::kFrame || base.tokens[p] == 0) continue;
        Switches changed = switches;
        changed.halved = part;
        add(fmt::format("{} halved", kPartNames[p]), changed);
    }
    if (switches.cache != true) {
        Switches changed = switches;
        changed.cache = true;
        add("cache=on", changed);
    }
    if (switches.tier == prices::Tier::kStandard) {
        Switches changed = switches;
        changed.tier = prices::Tier::kBatch;
        add("tier=batch", changed);
    }
    std::sort(out.begin(), out.end(), [](const Lever& a, const Lever& b) {
        return a.saves == b.saves ? a.what < b.what : a.saves > b.saves;
    });
    return out;
}

}  // namespace leeway::lab
