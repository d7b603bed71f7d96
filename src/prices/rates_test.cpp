#include "prices/rates.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace leeway::prices {
namespace {

FemtoUsdPerUnit usd(const char* per_million) { return *parse_usd_per_million(per_million); }

Rates gpt_like() {
    Rates rates;
    rates.set(Bucket::kInput, usd("2.50"));
    rates.set(Bucket::kCachedInput, usd("1.25"));
    rates.set(Bucket::kOutput, usd("10"));
    return rates;
}

TEST(Rates, PricesEachBucketOnce) {
    const Usage usage{{Bucket::kInput, 1000},
                      {Bucket::kCachedInput, 500},
                      {Bucket::kOutput, 10},
                      {Bucket::kReasoning, 5}};
    EXPECT_EQ(cost(usage, gpt_like())->value(), 2'500'000'000 + 625'000'000 + 150'000'000);
}

TEST(Rates, UnknownRateMakesTheCostUnknownNotZero) {
    EXPECT_FALSE(cost(Usage{{Bucket::kInput, 1}}, Rates{}));
    EXPECT_FALSE(cost(Usage{{Bucket::kAudioInput, 1}}, gpt_like()));
    EXPECT_FALSE(cost(Usage{{Bucket::kInput, -1}}, gpt_like()));
    EXPECT_FALSE(cost(Usage{{Bucket::kInput, 1}, {Bucket::kWebSearch, 1}}, gpt_like()));
    EXPECT_EQ(cost(Usage{}, Rates{})->value(), 0);
    EXPECT_EQ(cost(Usage{{Bucket::kCitations, 3}}, gpt_like())->value(), 0) << "nobody bills those";
}

TEST(Rates, KindsOfABucketAreBilledAsItWhenTheyHaveNoRate) {
    for (const Bucket bucket : {Bucket::kImageInput, Bucket::kToolPrompt, Bucket::kCacheWrite,
                                Bucket::kCacheWrite5m, Bucket::kCacheWrite1h}) {
        EXPECT_EQ(gpt_like().effective(bucket), usd("2.50")) << to_string(bucket);
    }
    Rates rates = gpt_like();
    rates.set(Bucket::kCacheWrite, usd("3.125"));
    EXPECT_EQ(rates.effective(Bucket::kCacheWrite5m), usd("3.125"));
    EXPECT_FALSE(rates.effective(Bucket::kCacheWrite1h)) << "twice the price is likely";
}

RateSheet sheet(const char* input, std::int64_t above = -1, Tier tier = Tier::kStandard) {
    RateSheet out;
    out.rates.set(Bucket::kInput, usd(input));
    out.rates.set(Bucket::kOutput, usd("10"));
    out.above = above;
    out.tier = tier;
    out.id = static_cast<std::uint64_t>(usd(input).value());
    return out;
}

TEST(ModelPrices, ContextBandIsACliffOnTheWholeInput) {
    const ModelPrices prices({sheet("1"), sheet("2", 200'000)});
    EXPECT_EQ(prices.price({{Bucket::kInput, 200'000}}, {}).cost->value(), 200'000'000'000);
    const Usage above{{Bucket::kInput, 100'000}, {Bucket::kCachedInput, 100'001}};
    EXPECT_EQ(prices.price(above, {}).cost->value(), 200'001LL * 2'000'000);
}

TEST(ModelPrices, NeverTakesAnotherTiersPrice) {
    const ModelPrices prices({sheet("1"), sheet("0.5", -1, Tier::kFlex)});
    PriceQuery query;
    query.tier = Tier::kFlex;
    EXPECT_EQ(prices.price({{Bucket::kInput, 1000}}, query).cost->value(), 500'000'000);
    query.tier = Tier::kPriority;
    EXPECT_FALSE(prices.price({{Bucket::kInput, 1000}}, query).cost);
    EXPECT_EQ(prices.price({{Bucket::kInput, 1000}}, query).price_id, 0u);
}

TEST(ModelPrices, DatesTimesAndRegionsDecide) {
    RateSheet old = sheet("4");
    old.valid_to = 1'000'000;
    RateSheet fresh = sheet("2");
    fresh.valid_from = 1'000'000;
    RateSheet night = fresh;
    night.rates.set(Bucket::kInput, usd("1"));
    night.day_from = 22 * 3600;
    night.day_to = 6 * 3600;  // over midnight
    RateSheet us = fresh;
    us.region = "us";
    us.rates.set(Bucket::kInput, usd("2.2"));
    const ModelPrices prices({old, fresh, night, us});
    const auto rate = [&](std::int64_t unix_s, std::string_view region = {}) {
        PriceQuery query;
        query.unix_s = unix_s;
        query.region = region;
        return prices.find(query)->rates[Bucket::kInput];
    };
    constexpr std::int64_t kNoon = 20 * 86'400 + 12 * 3600;
    EXPECT_EQ(rate(999'999), usd("4"));
    EXPECT_EQ(rate(kNoon), usd("2"));
    EXPECT_EQ(rate(kNoon + 10 * 3600), usd("1"));
    EXPECT_EQ(rate(kNoon + 17 * 3600), usd("1"));
    EXPECT_EQ(rate(kNoon + 18 * 3600), usd("2"));
    EXPECT_EQ(rate(kNoon, "us"), usd("2.2"));
    EXPECT_EQ(rate(kNoon, "eu"), usd("2"));
}

TEST(ModelPrices, AMachineIsPaidByTheHour) {
    RateSheet machine;
    machine.machine_hour = 3'600'000'000'000;  // 3.60 USD
    machine.machine_share = 4;
    machine.id = 1;
    const ModelPrices prices({machine});
    PriceQuery query;
    query.busy_us = 1'000'000;
    EXPECT_EQ(prices.price({{Bucket::kOutput, 7}}, query).cost->value(), 250'000'000);
    query.busy_us = -1;
    EXPECT_FALSE(prices.price({{Bucket::kOutput, 7}}, query).cost) << "time that nobody measured";
}

TEST(ModelPrices, AFeePerRequestIsChargedOnce) {
    RateSheet with_fee = sheet("1");
    with_fee.rates.set(Bucket::kRequests, usd("5000"));  // 5 USD for a thousand
    EXPECT_EQ(to_usd_string(*ModelPrices({with_fee}).price({{Bucket::kInput, 1000}}, {}).cost),
              "0.006");
}

TEST(Rates, DiscountsRoundHalfToEven) {
    EXPECT_EQ(discounted(FemtoUsdPerUnit(1000), 1250).value(), 875);
    EXPECT_EQ(discounted(FemtoUsdPerUnit(5), 5000).value(), 2);
    EXPECT_EQ(discounted(FemtoUsdPerUnit(7), 5000).value(), 4);
    EXPECT_EQ(discounted(FemtoUsdPerUnit(7), 10'000).value(), 0);
}

RC_GTEST_PROP(Rates, TheSumIsTheSumOfItsRoundedParts, ()) {
    Usage usage;
    Rates rates;
    Int128 expected = 0;
    for (const BucketInfo& info : kBuckets) {
        usage[info.bucket] = *rc::gen::inRange<std::int64_t>(0, 1 << 20);
        const FemtoUsdPerUnit rate(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000));
        rates.set(info.bucket, rate);
        const Int128 femto = Int128{usage[info.bucket]} * rate.value();
        Int128 pico = femto / 1000;
        const Int128 rest = femto % 1000;
        if (rest > 500 || (rest == 500 && pico % 2 != 0)) ++pico;
        expected += pico;
    }
    RC_ASSERT(Int128{cost(usage, rates)->value()} == expected);
}

RC_GTEST_PROP(Rates, SplittingABucketAtOneRateCostsTheSameWithinOneRoundingEach, ()) {
    const auto whole = *rc::gen::inRange<std::int64_t>(0, 1 << 30);
    const auto part = *rc::gen::inRange<std::int64_t>(0, whole + 1);
    Rates rates;
    rates.set(Bucket::kInput, FemtoUsdPerUnit(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000)));
    const auto one = cost(Usage{{Bucket::kInput, whole}}, rates)->value();
    const auto two =
        cost(Usage{{Bucket::kInput, whole - part}, {Bucket::kCachedInput, part}}, rates)->value();
    RC_ASSERT(std::abs(one - two) <= 1);
}

}  // namespace
}  // namespace leeway::prices
