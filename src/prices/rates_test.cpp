#include "prices/price.hpp"

#include <gtest/gtest.h>

namespace leeway::prices {
namespace {

ModelPrice gpt_like() {
    return {.input = *parse_usd_per_million("2.50"),
            .cached_input = *parse_usd_per_million("1.25"),
            .output = *parse_usd_per_million("10")};
}

TEST(Price, PricesEachBucketOnce) {
    const Usage usage{.input = 1000, .cached_input = 500, .output = 10, .reasoning_output = 5};
    EXPECT_EQ(cost(usage, gpt_like())->value(), 2'500'000'000 + 625'000'000 + 150'000'000);
}

TEST(Price, UnknownRateMakesTheCostUnknownNotZero) {
    EXPECT_FALSE(cost(Usage{.input = 1}, ModelPrice{}));
    EXPECT_FALSE(cost(Usage{.audio_input = 1}, gpt_like()));
    EXPECT_FALSE(cost(Usage{.input = -1}, gpt_like()));
    EXPECT_EQ(cost(Usage{}, ModelPrice{})->value(), 0);
}

TEST(Price, CachedInputWithoutARateCostsAsFresh) {
    auto price = gpt_like();
    price.cached_input.reset();
    EXPECT_EQ(cost(Usage{.cached_input = 2}, price), cost(Usage{.input = 2}, price));
}

}  // namespace
}  // namespace leeway::prices
