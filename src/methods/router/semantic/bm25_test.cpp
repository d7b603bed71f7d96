#include "methods/router/semantic/bm25.hpp"

#include <gtest/gtest.h>

#include <array>

namespace leeway::router {
namespace {

using Shares = std::vector<float>;

Shares shares(const std::vector<std::string>& utterances, std::string_view text, double b = 0.5) {
    const Bm25 bm25(utterances, 1.2, b);
    Shares out(utterances.size());
    bm25.score(text, out);
    return out;
}

TEST(Bm25, LongUtterancesCountLess) {
    const std::vector<std::string> utterances{"flight athens",
                                              "flight athens and many more words that say nothing"};
    const Shares with = shares(utterances, "flight athens", 0.75);
    EXPECT_GT(with[0], with[1]);
    const Shares without = shares(utterances, "flight athens", 0);
    EXPECT_FLOAT_EQ(without[0], without[1]);
}

TEST(Bm25, RareWordsCountMore) {
    const Shares found = shares({"the rivian", "the price", "the car"}, "the rivian costs");
    EXPECT_GT(found[0], 2 * found[1]);
}

TEST(Bm25, IsAShareWhateverTheLength) {
    const std::vector<std::string> utterances{"where is the nearest beach", "hello"};
    EXPECT_GT(shares(utterances, "where is the nearest beach")[0], 0.8F);
    EXPECT_LT(shares(utterances, "where is the nearest beach")[0], 1.2F);
    EXPECT_EQ(shares(utterances, "unknown words only"), Shares(2, 0));
    EXPECT_EQ(shares(utterances, ""), Shares(2, 0));
}

TEST(Bm25, NoUtteranceIsNoError) { EXPECT_TRUE(shares({}, "hello").empty()); }

}  // namespace
}  // namespace leeway::router
