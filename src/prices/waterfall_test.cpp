#include "prices/waterfall.hpp"

#include "prices/prompt_cache_model.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace leeway::prices {
namespace {

ModelPrices priced(std::int64_t input, std::int64_t cached, std::int64_t output) {
    Rates rates;
    rates.set(Bucket::kInput, FemtoUsdPerUnit(input));
    rates.set(Bucket::kCachedInput, FemtoUsdPerUnit(cached));
    rates.set(Bucket::kOutput, FemtoUsdPerUnit(output));
    return ModelPrices(rates);
}

const Usage kUsage{{Bucket::kInput, 1500}, {Bucket::kCachedInput, 500}, {Bucket::kOutput, 100}};

CounterfactualInput input_of(const ModelPrices& baseline, const ModelPrices& used, bool same) {
    CounterfactualInput in;
    in.baseline = &baseline;
    in.used = &used;
    in.same_model = same;
    in.usage = kUsage;
    in.actual = in.answer_cost = used.price(kUsage, {}).cost;
    return in;
}

TEST(PricesWaterfall, TheSameModelSavesNothing) {
    const auto big = priced(2'500'000'000, 1'250'000'000, 10'000'000'000);
    const auto found = counterfactual(input_of(big, big, true));
    ASSERT_TRUE(found.waterfall);
    EXPECT_EQ(*found.waterfall, Waterfall());
    EXPECT_EQ(*found.baseline, *big.price(kUsage, {}).cost);
}

TEST(PricesWaterfall, ARouteThatLosesAPromptCacheSavesLess) {
    const auto big = priced(2'500'000'000, 1'250'000'000, 10'000'000'000);
    const auto small = priced(150'000'000, 75'000'000, 600'000'000);
    auto in = input_of(big, small, false);
    in.usage = {{Bucket::kInput, 2000}, {Bucket::kOutput, 100}};
    in.actual = in.answer_cost = small.price(in.usage, {}).cost;
    in.simulated_cached = 1920;
    const auto found = counterfactual(in);
    ASSERT_TRUE(found.waterfall);
    EXPECT_EQ(found.baseline->value(), 80 * 2'500'000L + 1920 * 1'250'000L + 100 * 10'000'000L);
    EXPECT_GT((*found.waterfall)[SavingStep::kRoute].value(), 0);
    EXPECT_EQ((*found.waterfall)[SavingStep::kPromptCache].value(), -1920 * 75'000L);
    EXPECT_EQ(found.waterfall->labels[2], SavingLabel::kModelled);
    EXPECT_TRUE(found.waterfall->closes(*found.baseline, *in.actual));
}

TEST(PricesWaterfall, AHitIsComputedWhereTheSameModelWouldHaveAnswered) {
    const auto big = priced(2'500'000'000, 1'250'000'000, 10'000'000'000);
    auto in = input_of(big, big, true);
    in.from_cache = true;
    in.actual = in.answer_cost = PicoUsd(0);
    auto found = counterfactual(in);
    ASSERT_TRUE(found.waterfall);
    EXPECT_EQ((*found.waterfall)[SavingStep::kExactCache], *found.baseline);
    EXPECT_EQ(found.waterfall->labels[0], SavingLabel::kComputed);
    in.in_other_words = true;  // another question's answer: an assumption
    EXPECT_EQ(counterfactual(in).waterfall->labels[0], SavingLabel::kModelled);
    in.in_other_words = false;
    // Asked again at once, the provider would have found more of it in its own cache.
    const auto before = *found.baseline;
    in.simulated_cached = 1920;
    found = counterfactual(in);
    EXPECT_LT(found.baseline->value(), before.value());
    EXPECT_EQ(found.waterfall->labels[0], SavingLabel::kModelled);
}

TEST(PricesWaterfall, UnknownPricesMakeItUnknownNeverZero) {
    const ModelPrices unknown;
    const auto big = priced(2'500'000'000, 1'250'000'000, 10'000'000'000);
    auto in = input_of(unknown, big, false);
    EXPECT_FALSE(counterfactual(in).baseline);
    EXPECT_FALSE(counterfactual(in).waterfall);
    in = input_of(big, unknown, false);
    EXPECT_TRUE(counterfactual(in).baseline);
    EXPECT_FALSE(counterfactual(in).waterfall);
}

TEST(PricesWaterfall, ClosesToThePicodollarForAnyAmounts) {
    std::mt19937_64 rng(11);
    const auto below = [&](std::uint64_t n) {
        return static_cast<std::int64_t>(rng() % n);
    };
    for (int i = 0; i < 5000; ++i) {
        const auto a = priced(below(1'000'000'007), below(500'000'003), below(9'000'000'001));
        const auto b = priced(below(1'000'000'007), below(500'000'003), below(9'000'000'001));
        auto in = input_of(a, b, false);
        for (const Bucket bucket : {Bucket::kInput, Bucket::kCachedInput, Bucket::kOutput}) {
            in.usage[bucket] = below(100'000);
        }
        in.from_cache = rng() % 4 == 0;
        in.simulated_cached = below(200'000);
        in.answer_cost = in.from_cache ? PicoUsd(0) : PicoUsd(below(1'000'000'000'000));
        in.gateway_cost = PicoUsd(below(1000));
        in.actual = PicoUsd(in.answer_cost->value() + in.gateway_cost.value() + below(1'000'000));
        const auto found = counterfactual(in);
        ASSERT_TRUE(found.waterfall);
        ASSERT_TRUE(found.waterfall->closes(*found.baseline, *in.actual));
        Waterfall read;
        read.unpack_labels(found.waterfall->packed_labels());
        EXPECT_EQ(read.labels, found.waterfall->labels);
        EXPECT_LE((*found.waterfall)[SavingStep::kAttempts].value(), 0);
        EXPECT_EQ((*found.waterfall)[SavingStep::kGateway].value(), -in.gateway_cost.value());
    }
}

TEST(PricesPromptCacheModel, FindsThePrefixOfATurnBeforeForFiveMinutes) {
    PromptCacheModel cache;
    std::string prompt(20'000, 'x');
    for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<char>('a' + i * i % 23);
    EXPECT_EQ(cache.look_and_keep("web", "big", prompt, 5000, 1000), 0);
    const std::string next = prompt + std::string(20'000, 'y');
    // 18,432 of 40,000 bytes.
    EXPECT_EQ(cache.look_and_keep("web", "big", next, 10'000, 1200), 4608);
    EXPECT_EQ(cache.look_and_keep("other", "big", next, 10'000, 1200), 0);
    EXPECT_EQ(cache.look_and_keep("web", "small", next, 10'000, 1200), 0);
    EXPECT_EQ(cache.look_and_keep("web", "big", next, 10'000, 1501), 0);
    EXPECT_EQ(cache.look_and_keep("web", "big", next.substr(0, 1500), 10'000, 1501), 0);
    EXPECT_EQ(cache.look_and_keep("web", "big", next, 900, 1502), 0);
}

}  // namespace
}  // namespace leeway::prices
