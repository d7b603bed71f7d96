#include "base/money.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace leeway {
namespace {

TEST(Money, PricesAMillionTokensExactly) {
    const auto rate = parse_usd_per_million("2.50");
    ASSERT_TRUE(rate);
    EXPECT_EQ(rate->value(), 2'500'000'000);
    EXPECT_EQ(cost_of(1'000'000, *rate)->value(), 2'500'000'000'000);
    EXPECT_EQ(cost_of(1, *rate)->value(), 2'500'000);
}

TEST(Money, RoundsHalfToEvenOnce) {
    EXPECT_EQ(cost_of(1, FemtoUsdPerUnit(500))->value(), 0);
    EXPECT_EQ(cost_of(3, FemtoUsdPerUnit(500))->value(), 2);
    EXPECT_EQ(cost_of(1, FemtoUsdPerUnit(501))->value(), 1);
    EXPECT_EQ(cost_of(1, FemtoUsdPerUnit(1500))->value(), 2);
}

TEST(Money, OverflowIsNoValue) {
    EXPECT_FALSE(cost_of(std::numeric_limits<std::int64_t>::max(), FemtoUsdPerUnit(1'000'000)));
    EXPECT_FALSE(cost_of(-1, FemtoUsdPerUnit(1)));
    EXPECT_FALSE(PicoUsd(std::numeric_limits<std::int64_t>::max()).plus(PicoUsd(1)));
    EXPECT_FALSE(PicoUsd(std::numeric_limits<std::int64_t>::min()).minus(PicoUsd(1)));
}

TEST(Money, RefusesPricesThatAreNoDecimals) {
    for (const char* text :
         {"", ".", "-1", "1e3", "2,50", "1.0000000001", "9000001", "0x10", " 1"}) {
        EXPECT_FALSE(parse_usd_per_million(text)) << text;
    }
    EXPECT_EQ(parse_usd_per_million(".15")->value(), 150'000'000);
    EXPECT_EQ(parse_usd_per_million("0.083333333")->value(), 83'333'333);
    EXPECT_EQ(parse_usd_per_million("0")->value(), 0);
}

TEST(Money, PrintsAllDigitsThatMatter) {
    EXPECT_EQ(to_usd_string(PicoUsd(0)), "0");
    EXPECT_EQ(to_usd_string(PicoUsd(1)), "0.000000000001");
    EXPECT_EQ(to_usd_string(PicoUsd(-1'500'000'000'000)), "-1.5");
    EXPECT_EQ(to_usd_string(PicoUsd(-1)), "-0.000000000001");
    EXPECT_EQ(to_usd_string(PicoUsd(12'000'000'000'000)), "12");
}

RC_GTEST_PROP(Money, CostIsAdditiveWithinOnePicoPerPart, ()) {
    const auto rate = FemtoUsdPerUnit(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000));
    const auto a = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    const auto b = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    const auto whole = cost_of(a + b, rate)->value();
    const auto parts = cost_of(a, rate)->value() + cost_of(b, rate)->value();
    RC_ASSERT(whole - parts <= 1 && parts - whole <= 1);
}

RC_GTEST_PROP(Money, SumsOfManyRowsNeverOverflow, (std::vector<std::int64_t> rows)) {
    PicoUsdSum sum;
    Int128 expected = 0;
    for (const auto row : rows) {
        sum.add(PicoUsd(row));
        expected += row;
    }
    RC_ASSERT(sum.value() == expected);
}

}  // namespace
}  // namespace leeway
